"""A loader of batches that knows how far it has come."""

from collections.abc import Iterator

import numpy as np

from phoneme_lightning.batch import Batch
from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.sampler import BucketSampler

__all__ = ["BatchLoader"]


class BatchLoader:
    """Iterate over the batches of an epoch, each gathered when it is asked for.

    There are no worker processes: a batch is a copy of a few hundred kilobytes, and a GPU is given
    the next one while it still computes. In place of them it can stop and go on: `state_dict` holds
    how many batches of which epoch were handed out, so that a fit killed in mid-epoch goes on with
    the very next batch.

    Args:
        frames: of the store.
        positions: the split's utterances, positions in the store.
        sampler: draws batches as positions into `positions`.
        delta_maps: whether batches carry the corpus's own delta maps.
    """

    def __init__(
        self,
        frames: Frames,
        positions: np.ndarray,
        sampler: BucketSampler,
        *,
        delta_maps: bool = False,
    ) -> None:
        self.frames, self.positions, self.sampler, self.delta_maps = (
            frames,
            positions,
            sampler,
            delta_maps,
        )
        self.batch_sampler = None  # Lightning asks for it wherever there is a `sampler`
        self._state = {"epoch": 0, "batches": 0}
        self._resume: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        resume, self._resume = self._resume, {}
        epoch = self.sampler.epoch
        # An epoch that a limit cut short is over all the same: the next one begins at its start.
        first = resume.get("batches", 0) if resume.get("epoch", epoch) == epoch else 0
        for index, rows in enumerate(self.sampler):
            if index >= first:
                self._state = {"epoch": epoch, "batches": (index + 1) % len(self)}
                yield self.frames.gather(self.positions[rows], delta_maps=self.delta_maps)

    def state_dict(self) -> dict[str, int]:
        """Give the batches handed out in this epoch; 0 when the epoch is over."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next iteration begin after the batches that were handed out before."""
        self._state = self._resume = dict(state)
