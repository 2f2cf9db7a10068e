"""A store's frames as tensors, mapped or resident, from which a batch is gathered in one go."""

import warnings
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from phoneme_lightning.batch import Batch, keep_only_, send
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.phones import IGNORE_LABEL

__all__ = ["Frames"]

SHARE_OF_FREE_MEMORY = 0.25
"""Of a GPU, that a corpus may take: the rest is for the net, its gradients and activations."""


class Frames:
    """All frames of a store, end to end, wherever they serve best.

    * For a CPU they stay in the store's memory map; a batch is all that is held in memory.
    * For a GPU with four times their size of free memory they are copied there once, with the
      first batch. A frame takes 53 bytes (13 float32 and its label), all of libriphone
      140 MB: half precision would save what is not scarce, and change the values.
    * For any other GPU batches are gathered from the memory map into pinned memory, from where
      they are copied while the GPU still computes.

    The code is the same in all places, and so is every bit of a batch.

    Args:
        store: the frame store.
        device: where batches are needed.
    """

    def __init__(self, store: FrameStore, device: torch.device | str = "cpu") -> None:
        self.store, self.wanted_on = store, torch.device(device)
        on_cuda = self.wanted_on.type == "cuda"
        self.resident = on_cuda and self._bytes <= _room(self.wanted_on)
        self.pinned = on_cuda and not self.resident
        self.device = self.wanted_on if self.resident else torch.device("cpu")

    @property
    def _bytes(self) -> int:
        arrays = (self.store.features, self.store.labels, self.store.delta_maps)
        return sum(array.nbytes for array in arrays if array is not None)

    @property
    def place(self) -> str:
        """Where batches come from, in a few words."""
        if self.resident:
            return f"the GPU's memory, {self._bytes / 1e6:,.0f} MB"
        return "the memory map, through pinned memory" if self.pinned else "the memory map"

    @cached_property
    def _features(self) -> Tensor:
        return self._opened(self.store.features)

    @cached_property
    def _labels(self) -> Tensor:
        return self._opened(self.store.labels)

    @cached_property
    def _delta_maps(self) -> Tensor | None:
        maps = self.store.delta_maps
        return None if maps is None else self._opened(maps)

    def _opened(self, array: np.ndarray) -> Tensor:
        with warnings.catch_warnings():
            # The memory map is read-only, and nothing here writes to it.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return torch.from_numpy(array).to(self.device)

    def gather(self, positions: np.ndarray, *, delta_maps: bool = False) -> Batch:
        """Make utterances one batch, padded to the longest of them.

        Nothing here waits for the GPU: what it needs to know comes in one small copy.

        Args:
            positions: the utterances' positions in the store, (batch,), int64.
            delta_maps: whether the batch shall carry the corpus's own delta maps, if there are any.

        Returns:
            The batch, where the frames are; padding is 0 in the features, IGNORE_LABEL in the
            labels.
        """
        counts = self.store.lengths[positions]
        frames = int(counts.max())
        where = torch.from_numpy(np.stack([positions, self.store.offsets[positions], counts]))
        utterances, begins, lengths = (
            where.pin_memory() if self.pinned else send(where, self.device)
        )
        steps = torch.arange(frames, device=self.device)
        # Beyond an utterance its last frame is read again, and hidden below.
        index = begins[:, None] + torch.minimum(steps, lengths[:, None] - 1)
        labels = self._rows(self._labels, index).long()
        batch = Batch(
            features=self._rows(self._features, index),
            labels=labels.pin_memory() if self.pinned else labels,
            lengths=lengths,
            utterances=utterances,
            num_frames=int(counts.sum()),
            lengths_on_host=torch.from_numpy(counts),
            delta_maps=self._rows(self._delta_maps, utterances)
            if delta_maps and self._delta_maps is not None
            else None,
        )
        keep_only_(batch.features, batch.mask[..., None])
        batch.labels.masked_fill_(~batch.mask | (batch.labels < 0), IGNORE_LABEL)
        return batch

    def _rows(self, table: Tensor, index: Tensor) -> Tensor:
        """Give the rows of a table that `index` names, in its shape."""
        rows = torch.empty(
            (index.numel(), *table.shape[1:]),
            dtype=table.dtype,
            device=self.device,
            pin_memory=self.pinned,
        )
        torch.index_select(table, 0, index.flatten(), out=rows)
        return rows.view(*index.shape, *table.shape[1:])


def _room(device: torch.device) -> float:
    """Give how many bytes of a GPU's memory a corpus may take."""
    free, _ = torch.cuda.mem_get_info(device)
    return SHARE_OF_FREE_MEMORY * free
