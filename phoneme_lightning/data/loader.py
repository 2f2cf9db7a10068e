"""A loader from frame store to batches that knows how far it has come."""

from collections.abc import Iterator

import numpy as np
import torch

from phoneme_lightning.batch import Batch
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.data.sampler import BucketSampler

__all__ = ["BatchLoader"]


class BatchLoader:
    """Iterate over the batches of an epoch, straight from the memory-mapped store.

    There are no worker processes: a batch is a copy of a few hundred kilobytes. In place of them
    it can stop and go on: `state_dict` holds how many batches of the epoch were handed out, so
    that a fit killed in mid-epoch goes on with the very next batch.

    Args:
        store: the frame store.
        positions: the split's utterances, positions in the store.
        sampler: draws batches as positions into `positions`.
        delta_maps: whether batches carry the corpus's own delta maps.
    """

    def __init__(
        self,
        store: FrameStore,
        positions: np.ndarray,
        sampler: BucketSampler,
        *,
        delta_maps: bool = False,
    ) -> None:
        self.store, self.positions, self.sampler, self.delta_maps = (
            store,
            positions,
            sampler,
            delta_maps,
        )
        self.batch_sampler = None  # Lightning asks for it wherever there is a `sampler`
        self._handed_out = 0
        self._resume_at = 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        first, self._resume_at = self._resume_at, 0
        for index, rows in enumerate(self.sampler):
            if index >= first:
                self._handed_out = index + 1
                yield self.collate(self.positions[rows])

    def collate(self, positions: np.ndarray) -> Batch:
        """Copy these utterances of the store into one padded batch."""
        spans = [slice(self.store.offsets[p], self.store.offsets[p + 1]) for p in positions]
        return Batch.collate(
            [torch.from_numpy(self.store.features[span].copy()) for span in spans],
            [self._labels(span) for span in spans],
            positions.tolist(),
            [torch.from_numpy(self.store.delta_maps[p].copy()) for p in positions]
            if self.delta_maps and self.store.delta_maps is not None
            else None,
        )

    def _labels(self, span: slice) -> torch.Tensor | None:
        labels = self.store.labels[span]
        return torch.from_numpy(labels.astype(np.int64)) if labels[0] >= 0 else None

    def state_dict(self) -> dict[str, int]:
        """Give the batches handed out in this epoch; 0 when the epoch is over."""
        return {"batches": self._handed_out % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next iteration begin after the batches that were handed out before."""
        self._resume_at = state["batches"]
