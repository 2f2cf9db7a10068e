"""Changes to training batches, made on the batch's device: tempo, noise, and hidden parts.

Padding means nothing before and after; each function gives the very same batch where its setting
is zero. None waits for a GPU; its generator is on the batch's device, or on the host where it draws
lengths. The masks are SpecAugment's (Park et al. 2019, section 2).
"""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from phoneme_lightning.batch import Batch, frame_mask, keep_only, keep_only_, send
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import IGNORE_LABEL

__all__ = ["Augmentation", "add_noise", "mask_coefficients", "mask_time", "time_stretch"]

_CEPSTRA = 13
_MAX_MASKED_SHARE = 0.2


@dataclass(frozen=True)
class Augmentation:
    """What is done to training batches, in this order: stretch, noise, (deltas), masks."""

    time_masks: int = 0
    """Spans of frames to hide in each utterance."""
    time_mask_frames: int = 20
    """Frames that a span may hide at most; never more than a fifth of the utterance."""
    coefficient_masks: int = 0
    """Bands of cepstra to hide in each utterance, with their deltas."""
    coefficient_mask_width: int = 3
    """Neighbouring cepstra that a band may hide at most."""
    noise: float = 0.0
    """Standard deviation of the noise on the cepstra, whose own is 1."""
    stretch: float = 0.0
    """Share by which an utterance may become longer or shorter: 0.1 gives 0.9 to 1.1 times."""

    def __post_init__(self) -> None:
        limits = {
            "time_masks": (0, 100),
            "time_mask_frames": (1, 10_000),
            "coefficient_masks": (0, 100),
            "coefficient_mask_width": (1, _CEPSTRA - 1),
            "noise": (0, 100),
            "stretch": (0, 0.9),
        }
        for key, (low, high) in limits.items():
            value = getattr(self, key)
            if not low <= value <= high:
                raise InputError(f"data.augment.{key} is {value}: give {low} to {high}")


def time_stretch(batch: Batch, stretch: float, generator: Generator) -> Batch:
    """Speak each utterance slower or faster by a factor of its own.

    Features are interpolated linearly between frames, labels taken from the nearest frame; the
    first and the last frame stay the first and the last.

    Args:
        batch: features (batch, frames, coefficients), best without deltas.
        stretch: s: the factors of the lengths are uniform over 1 - s to 1 + s; 0 changes nothing.
        generator: of the factors, on the host.

    Returns:
        A batch with new lengths, padded to the longest of them.
    """
    if stretch == 0:
        return batch
    old = batch.lengths.cpu() if batch.lengths_on_host is None else batch.lengths_on_host
    factors = 1 + stretch * (2 * torch.rand(len(batch), generator=generator) - 1)
    on_host = (old * factors).round().long().clamp(min=1)
    lengths, frames = send(on_host, batch.lengths.device), int(on_host.max())
    mask = frame_mask(lengths, frames)

    # Where each new frame lies among the old ones, in whole steps and the exact rest of one.
    gaps = (lengths[:, None] - 1).clamp(min=1)
    last = batch.lengths[:, None] - 1
    way = torch.arange(frames, device=mask.device) * last
    before = torch.minimum(way // gaps, last)
    after = torch.minimum(before + 1, last)
    rest = way % gaps
    nearest = torch.where(2 * rest < gaps, before, after)

    left = batch.features.take_along_dim(before[..., None], dim=1)
    right = batch.features.take_along_dim(after[..., None], dim=1)
    features = left.lerp(right, (rest / gaps)[..., None])
    return replace(
        batch,
        features=keep_only_(features, mask[..., None]),
        labels=batch.labels.gather(1, nearest).where(mask, IGNORE_LABEL),
        lengths=lengths,
        lengths_on_host=on_host,
        num_frames=int(on_host.sum()),
    )


def add_noise(batch: Batch, deviation: float, generator: Generator) -> Batch:
    """Add Gaussian noise to the features.

    Args:
        batch: features (batch, frames, coefficients).
        deviation: standard deviation of the noise; 0 changes nothing.
        generator: of the noise.

    Returns:
        The noisy batch.
    """
    if deviation == 0:
        return batch
    x = batch.features
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return batch.with_features(x + keep_only_(noise.mul_(deviation), batch.mask[..., None]))


def _spans(count: int, longest: Tensor, sizes: Tensor, places: int, generator: Generator) -> Tensor:
    """Draw spans for each utterance, each of 0 to `longest` places among the first `sizes`.

    Args:
        count: spans an utterance.
        longest: (batch, 1), int64.
        sizes: (batch, 1), int64.
        places: how many places there are, padding with them.
        generator: of the draw.

    Returns:
        (batch, places), bool: True inside a span.
    """
    draw = torch.rand(2, len(sizes), count, generator=generator, device=sizes.device)
    # A draw just below 1 may round up to 1 in the product.
    widths = torch.minimum((draw[0] * (longest + 1)).long(), longest)
    room = sizes - widths
    starts = torch.minimum((draw[1] * (room + 1)).long(), room)
    place = torch.arange(places, device=sizes.device)
    since = place - starts[..., None]
    return ((since >= 0) & (since < widths[..., None])).any(dim=1)


def mask_time(batch: Batch, count: int, max_frames: int, generator: Generator) -> Batch:
    """Hide spans of frames: set them to 0, the mean of normalised features.

    Args:
        batch: normalised features (batch, frames, coefficients).
        count: spans an utterance; 0 changes nothing. They may overlap.
        max_frames: a span is uniform over 0 to this many frames, but never more than a fifth of
            the utterance.
        generator: of the spans.

    Returns:
        The batch with frames hidden; labels stay.
    """
    if count == 0:
        return batch
    sizes = batch.lengths[:, None]
    longest = (sizes * _MAX_MASKED_SHARE).long().clamp(max=max_frames)
    hidden = _spans(count, longest, sizes, batch.features.shape[1], generator)
    return batch.with_features(keep_only(batch.features, ~hidden[..., None]))


def mask_coefficients(batch: Batch, count: int, max_bands: int, generator: Generator) -> Batch:
    """Hide bands of coefficients: set them to 0, the mean of normalised features.

    Args:
        batch: normalised features (batch, frames, coefficients). Where there are 39, they are 13
            cepstra and two blocks of deltas, of which the same bands are hidden.
        count: bands an utterance; 0 changes nothing. They may overlap.
        max_bands: a band is uniform over 0 to this many neighbouring coefficients.
        generator: of the bands.

    Returns:
        The batch with coefficients hidden in all real frames.
    """
    if count == 0:
        return batch
    coefficients = batch.features.shape[2]
    blocks = 3 if coefficients == 3 * _CEPSTRA else 1
    sizes = torch.full_like(batch.lengths, coefficients // blocks)[:, None]
    longest = sizes.clamp(max=max_bands)
    hidden = _spans(count, longest, sizes, coefficients // blocks, generator).repeat(1, blocks)
    return batch.with_features(keep_only(batch.features, ~hidden[:, None]))
