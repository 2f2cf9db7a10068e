"""Random batches of the lengths that utterances have."""

from collections.abc import Sequence

import numpy as np
import torch

from phoneme_lightning.batch import Batch
from phoneme_lightning.data.sampler import BucketSampler
from phoneme_lightning.phones import IGNORE_LABEL, NUM_PHONES

__all__ = ["MEAN_FRAMES", "draw_lengths", "make_batch"]

MEAN_FRAMES, SPREAD_FRAMES, LEAST_FRAMES, MOST_FRAMES = 617, 234, 139, 998  # libriphone's


def draw_lengths(order: str, frames_per_batch: int, batches: int) -> list[list[int]]:
    """Draw the lengths of utterances, batch by batch.

    Args:
        order: "bucketed", as our sampler does, of a corpus of 3,000 utterances; "shuffled", as
            many utterances a batch as hold that many frames on average; "equal", all of 600
            frames, so that there is no padding; "whole", one utterance of the mean length.
        frames_per_batch: real frames a batch, about; no utterance is longer.
        batches: how many.

    Returns:
        Frames of each utterance of each batch.
    """
    if order == "whole":
        return [[min(MEAN_FRAMES, frames_per_batch)]] * batches
    if order == "equal":
        frames = min(600, frames_per_batch)
        return [[frames] * round(frames_per_batch / frames)] * batches
    draw = np.random.default_rng(0)
    corpus = draw.normal(MEAN_FRAMES, SPREAD_FRAMES, 3_000).clip(
        LEAST_FRAMES, min(MOST_FRAMES, frames_per_batch)
    )
    corpus = corpus.astype(np.int64)
    if order == "shuffled":
        size = max(1, round(frames_per_batch / MEAN_FRAMES))
        return draw.choice(corpus, (batches, size)).tolist()
    sampler = BucketSampler(corpus, frames_per_batch, shuffle=True)
    # Evenly from the shortest to the longest, or else luck would decide what they cost.
    pieces = sorted(sampler, key=lambda rows: corpus[rows].mean())
    places = (np.arange(batches) + 0.5) * len(pieces) / batches
    return [corpus[pieces[int(place)]].tolist() for place in places]


def make_batch(lengths: Sequence[int], device: str, seed: int = 0) -> Batch:
    """Make a batch of random features and labels, (batch, frames, 39) and (batch, frames)."""
    draw = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    batch = Batch(
        features=torch.randn(*shape, 39, generator=draw),
        labels=torch.randint(NUM_PHONES, shape, generator=draw),
        lengths=torch.tensor(lengths),
        utterances=torch.arange(len(lengths)),
        num_frames=sum(lengths),
    )
    batch.features[~batch.mask] = 0.0
    batch.labels[~batch.mask] = IGNORE_LABEL
    return batch.to(device)
