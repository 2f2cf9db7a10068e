"""How the cepstra change: derived coefficients and normalisation, on the batch's device."""

from typing import Literal

import torch
from torch import Tensor

from phoneme_lightning.batch import Batch, frame_mask, keep_only, keep_only_
from phoneme_lightning.errors import InputError

__all__ = ["Deltas", "normalise", "temporal_deltas", "with_deltas"]

Deltas = Literal["temporal", "file", "none"]

_REACH = 2
"""Frames each side that the regression sees (HTK's DELTAWINDOW, Kaldi's delta-window)."""


def temporal_deltas(features: Tensor, lengths: Tensor) -> Tensor:
    """Give the slope of each coefficient over time, by regression over +-2 frames.

    HTK's formula (Young et al., The HTK Book 3.4, section 5.9, eq. 5.16):
    d[t] = sum_k k (x[t+k] - x[t-k]) / (2 sum_k k^2), k = 1, 2. Beyond an utterance's own first and
    last frame, that frame is repeated; padding is never read.

    Args:
        features: (batch, frames, coefficients), float.
        lengths: real frames of each utterance, (batch,), int64, each at least 1.

    Returns:
        (batch, frames, coefficients), a change per frame; 0 in padding.
    """
    mask = frame_mask(lengths, features.shape[1])
    return keep_only_(_slope(features, lengths), mask[..., None])


def _slope(features: Tensor, lengths: Tensor) -> Tensor:
    """As `temporal_deltas`, but with anything in padding."""
    utterances, frames, coefficients = features.shape
    extended = features.new_empty(utterances, frames + 2 * _REACH, coefficients)
    extended[:, _REACH:-_REACH] = features
    extended[:, :_REACH] = features[:, :1]
    # Behind each utterance's last frame, as often as the regression may see it.
    row = torch.arange(utterances, device=features.device)[:, None]
    behind = lengths[:, None] + torch.arange(_REACH, device=features.device)
    extended[row, _REACH + behind] = features[row, lengths[:, None] - 1]

    def change(k: int) -> Tensor:
        ahead = extended[:, _REACH + k : _REACH + k + frames]
        return ahead - extended[:, _REACH - k : _REACH - k + frames]

    slope = change(1)
    for k in range(2, _REACH + 1):
        slope.add_(change(k), alpha=k)
    return slope.div_(2 * sum(k * k for k in range(1, _REACH + 1)))


def with_deltas(batch: Batch, kind: Deltas) -> Batch:
    """Set derived coefficients beside the cepstra.

    Args:
        batch: features (batch, frames, 13).
        kind: "temporal": slopes over time and their slopes (`temporal_deltas`, twice);
            "file": the corpus's own, which follow linearly from the same frame's cepstra;
            "none": nothing is added.

    Returns:
        The batch with features (batch, frames, 39): cepstra, deltas, deltas of deltas; or as it
        was for "none".

    Raises:
        InputError: `kind` is "file" and the corpus has no deltas of its own.
    """
    if kind == "none":
        return batch
    cepstra = batch.features
    if kind == "temporal":
        deltas = _slope(cepstra, batch.lengths)
        added = [deltas, _slope(deltas, batch.lengths)]
    elif batch.delta_maps is None:
        raise InputError(
            "data.deltas is 'file', but this corpus has no deltas of its own: "
            "use data.deltas 'temporal' or 'none'"
        )
    else:
        # Features, like all that is made from them, stay float32 where autocast is on.
        with torch.autocast(cepstra.device.type, enabled=False):
            added = [cepstra @ batch.delta_maps]
    features = torch.cat([cepstra, *added], dim=-1)
    return batch.with_features(keep_only_(features, batch.mask[..., None]))


def normalise(batch: Batch) -> Batch:
    """Bring each coefficient of each utterance to mean 0 and standard deviation 1 (N-1).

    Only real frames count. A coefficient that does not change, as in an utterance of one frame,
    becomes 0.

    Args:
        batch: features (batch, frames, coefficients).

    Returns:
        The batch with the normalised features; 0 in padding.
    """
    real = batch.mask[..., None]
    features = keep_only(batch.features, real)
    count = batch.lengths[:, None, None]
    mean = features.sum(dim=1, keepdim=True) / count
    centred = keep_only_(features.sub_(mean), real)
    variance = centred.square().sum(dim=1, keepdim=True) / (count - 1).clamp(min=1)
    deviation = variance.sqrt()
    # What rounding the mean leaves of a constant is not a deviation.
    constant = deviation <= 1e-5 * mean.abs() + 1e-8
    return batch.with_features(centred.mul_(deviation.reciprocal().masked_fill_(constant, 0.0)))
