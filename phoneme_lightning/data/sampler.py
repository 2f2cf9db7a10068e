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
    epoch; the number of batches never changes and is the same on every rank. Ranks share a piece,
    so that two of them take the steps that one takes with twice the frames, and wait little.

    Args:
        lengths: frames of each utterance, (utterances,).
        frames_per_batch: real frames a batch of one rank, about.
        shuffle: False gives whole pieces in the order of length, in turn to each rank, for
            evaluation: the batches of any number of ranks are those of one.
        seed: of the order; the epoch is mixed in.
        rank: which of the processes this is.
        world_size: how many processes share the epoch.

    Raises:
        InputError: there are fewer utterances than processes.
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
        self.sharers = world_size if shuffle else 1
        pieces = round(int(self.lengths.sum()) / (frames_per_batch * self.sharers))
        if len(self.lengths) < world_size:
            raise InputError(
                f"trainer.devices and trainer.num_nodes make {world_size} processes, but there "
                f"are {len(self.lengths)} utterances in a split that they share: use fewer"
            )
        least = 1 if shuffle else world_size  # Lightning refuses a rank without a batch
        self.pieces = min(max(least, pieces), len(self.lengths) // self.sharers)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives; Lightning calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.pieces if self.shuffle else len(range(self.rank, self.pieces, self.world_size))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Give each batch as positions into `lengths`, (utterances of the batch,), int64."""
        draw = np.random.default_rng(seed_of(self.seed, self.epoch))
        pieces = self._pieces(draw)
        if not self.shuffle:
            yield from pieces[self.rank :: self.world_size]
            return
        for index in draw.permutation(self.pieces):
            yield self._share(pieces[index])

    def _share(self, piece: np.ndarray) -> np.ndarray:
        """Give this rank's part: the longest first, each goes to the rank with fewest frames."""
        frames = np.zeros(self.sharers, dtype=np.int64)
        owners = np.zeros(len(piece), dtype=np.int64)
        if self.sharers > 1:
            for place in np.argsort(-self.lengths[piece], kind="stable"):
                owners[place] = frames.argmin()
                frames[owners[place]] += self.lengths[piece[place]]
        share: np.ndarray = piece[owners == self.rank]
        return share

    def _pieces(self, draw: np.random.Generator) -> list[np.ndarray]:
        """Cut the utterances, sorted by about their length, into pieces."""
        jitter = draw.uniform(0.0, LENGTH_JITTER_FRAMES, len(self.lengths)) if self.shuffle else 0.0
        order = np.argsort(self.lengths + jitter, kind="stable")
        return np.split(order, self._cuts(np.cumsum(self.lengths[order])))

    def _cuts(self, frames_so_far: np.ndarray) -> np.ndarray:
        """Give where to cut, at equal frames, so that each rank has a part of every piece."""
        targets = frames_so_far[-1] * np.arange(1, self.pieces) / self.pieces
        cuts = np.searchsorted(frames_so_far, targets) + 1
        first = self.sharers * np.arange(1, self.pieces)
        cuts = np.maximum.accumulate(np.maximum(cuts, first) - first) + first
        last: np.ndarray = np.minimum(cuts, len(frames_so_far) - self.sharers * self.pieces + first)
        return last
