"""Which utterances go together: equal frames a batch, little padding, a fixed number of batches."""

from collections.abc import Iterator

import numpy as np

from phoneme_lightning.errors import InputError

__all__ = ["BucketSampler", "seed_of"]

LENGTH_JITTER_FRAMES = 16.0


def seed_of(*numbers: int) -> int:
    """Mix a few numbers (seed, epoch, rank, ...) into one seed for a generator."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


class BucketSampler:
    """Batches of utterances of about one length and about `frames_per_batch` frames.

    Each epoch sorts the utterances by length plus a random U(0, 16) frames, cuts the row into a
    fixed number of pieces of equal frames, and shuffles the pieces. Every utterance comes once an
    epoch; the number of batches never changes and is the same on every rank.

    Args:
        lengths: frames of each utterance, (utterances,).
        frames_per_batch: real frames a batch, about.
        shuffle: False gives the same batches in the order of length, for evaluation.
        seed: of the order; the epoch is mixed in.
        rank: which of the processes this is.
        world_size: how many processes share the epoch.

    Raises:
        InputError: with `shuffle`, there are fewer utterances than processes.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        frames_per_batch: int,
        *,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0
        self.rank, self.world_size = rank, world_size
        pieces = max(world_size, round(int(self.lengths.sum()) / frames_per_batch))
        if shuffle:
            pieces = -(-pieces // world_size) * world_size
            pieces = min(pieces, len(self.lengths) // world_size * world_size)
            if pieces == 0:
                raise InputError(
                    f"trainer.devices and trainer.num_nodes make {world_size} processes, but there "
                    f"are {len(self.lengths)} utterances to train on: use fewer processes"
                )
        self.pieces = min(pieces, len(self.lengths))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives; Lightning calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, self.pieces, self.world_size))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Give each batch as positions into `lengths`, (utterances of the batch,), int64."""
        draw = np.random.default_rng(seed_of(self.seed, self.epoch))
        pieces = self._pieces(draw)
        turn = draw.permutation(self.pieces) if self.shuffle else np.arange(self.pieces)
        for index in turn[self.rank :: self.world_size]:
            yield pieces[index]

    def _pieces(self, draw: np.random.Generator) -> list[np.ndarray]:
        """Cut the utterances, sorted by about their length, into pieces."""
        jitter = draw.uniform(0.0, LENGTH_JITTER_FRAMES, len(self.lengths)) if self.shuffle else 0.0
        order = np.argsort(self.lengths + jitter, kind="stable")
        return np.split(order, self._cuts(np.cumsum(self.lengths[order])))

    def _cuts(self, frames_so_far: np.ndarray) -> np.ndarray:
        """Give where to cut, at equal frames, so that no piece is empty."""
        targets = frames_so_far[-1] * np.arange(1, self.pieces) / self.pieces
        cuts = np.searchsorted(frames_so_far, targets) + 1
        first = np.arange(1, self.pieces)
        cuts = np.maximum.accumulate(np.maximum(cuts, first) - first) + first
        last: np.ndarray = np.minimum(cuts, len(frames_so_far) - self.pieces + first)
        return last
