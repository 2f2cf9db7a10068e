"""What a training step minimises: losses summed over frames, and utterances mixed in pairs.

Every loss is a sum in nats, so that a step divides all of them by the same number of frames. All
take labels with IGNORE_LABEL in padding and where nothing is known; such frames count for nothing.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from phoneme_lightning.batch import Batch
from phoneme_lightning.phones import IGNORE_LABEL

__all__ = [
    "Labelling",
    "ctc_loss",
    "draw_share",
    "frame_loss",
    "labelled_frames",
    "mix_utterances",
    "neighbour_loss",
    "weigh",
]

Labelling = tuple[float, Tensor]
"""Labels, (batch, frames), int64, and the share of the loss that they make up."""


def labelled_frames(labels: Tensor) -> Tensor:
    """Count the frames whose label is known, (), int64, without waiting for the device."""
    return (labels != IGNORE_LABEL).sum()


def frame_loss(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Sum the cross-entropy over the labelled frames.

    Args:
        logits: (batch, frames, classes).
        labels: (batch, frames), int64.
        label_smoothing: share of the target spread over all classes.

    Returns:
        (), float32.
    """
    return F.cross_entropy(
        logits.float().flatten(0, 1),
        labels.flatten(),
        ignore_index=IGNORE_LABEL,
        label_smoothing=label_smoothing,
        reduction="sum",
    )


def neighbour_loss(logits: Tensor, labels: Tensor, distance: int) -> Tensor:
    """Sum the cross-entropy of the labels some frames before and after each frame.

    To predict a frame's context beside its phone was the best second task of Seltzer and Droppo
    (2013, "Multi-task learning in deep neural networks for improved phoneme recognition").

    Args:
        logits: (batch, frames, 2 classes): first of the frame before, then of the one after.
        labels: (batch, frames), int64. A pair of frames counts where both are labelled.
        distance: how many frames before and after, at least 1.

    Returns:
        (), float32: the mean of the two sums, so that it is as large as a frame's own.
    """
    frames = labels.shape[1]
    before = F.pad(labels, (distance, 0), value=IGNORE_LABEL)[:, :frames]
    after = F.pad(labels, (0, distance), value=IGNORE_LABEL)[:, distance:]
    known = (labels != IGNORE_LABEL)[..., None]
    targets = torch.stack([before, after], dim=2).where(known, IGNORE_LABEL)
    return frame_loss(logits.reshape(len(labels), 2 * frames, -1), targets.flatten(1)) / 2


def ctc_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over the utterances how surprising their phones are, however they lie in time.

    Connectionist temporal classification (Graves et al. 2006), here beside the frames' own loss.
    Each run of one class is one phone. Frames without a label are left out of the utterance
    before, so a phone of which none is labelled is not looked for. On a GPU this waits for the
    device once, to learn the lengths.

    Args:
        logits: (batch, frames, classes + 1); the last class is the blank.
        labels: (batch, frames), int64.

    Returns:
        (), float32.
    """
    known = labels != IGNORE_LABEL
    order = known.int().argsort(dim=1, descending=True, stable=True)
    labels, known = labels.gather(1, order), known.gather(1, order)
    begins = known.clone()
    begins[:, 1:] &= labels[:, 1:] != labels[:, :-1]
    phones = labels.gather(1, begins.int().argsort(dim=1, descending=True, stable=True))
    log_probabilities = logits.float().take_along_dim(order[..., None], dim=1).log_softmax(dim=2)
    return F.ctc_loss(
        log_probabilities.transpose(0, 1),
        phones,
        input_lengths=known.sum(dim=1),
        target_lengths=begins.sum(dim=1),
        blank=logits.shape[2] - 1,
        reduction="sum",
        zero_infinity=True,
    )


def draw_share(strength: float) -> float:
    """Draw how much of itself an utterance keeps when it is mixed, 0.5 to 1.

    Args:
        strength: a of the Beta(a, a), above 0; small ones mix hardly at all.

    Returns:
        The larger of the two shares: an utterance stays mostly itself. It comes from PyTorch's
        generator of the host, which each step seeds anew.
    """
    # A gamma variable of a small shape underflows, and two zeros would mix most of all; its
    # logarithm, made of one of shape + 1 and a uniform one (Marsaglia, Tsang 2000), does not.
    shape = torch.full((2,), strength, dtype=torch.float64)
    logs = torch._standard_gamma(shape + 1).log() + torch.rand_like(shape).log() / shape
    return float(logs.softmax(0).max())


def mix_utterances(batch: Batch, share: float) -> tuple[Batch, Tensor]:
    """Mix each utterance with the one before it, the first with the last.

    Mixup (Zhang et al. 2017, section 2) between neighbours in a batch, frame by frame. The shorter
    of two utterances ends first; from there on the longer one stays as it is.

    Args:
        batch: features normalised, so that two are comparable.
        share: how much of itself each keeps.

    Returns:
        The batch with mixed features, and the labels that are worth 1 - share, (batch, frames):
        the other utterance's, or the frame's own where there is no other.
    """
    both = batch.mask & batch.mask.roll(1, 0)
    mixed = batch.features.lerp(batch.features.roll(1, 0), 1.0 - share)
    features = mixed.where(both[..., None], batch.features)
    return batch.with_features(features), batch.labels.roll(1, 0).where(both, batch.labels)


def weigh(function: Callable[[Tensor], Tensor], labellings: Sequence[Labelling]) -> Tensor:
    """Average what a function gives for several labellings of the same frames, by their shares."""
    return cast(Tensor, sum(share * function(labels) for share, labels in labellings))
