"""What the data rooms hand to the models: a few utterances padded to one length."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from phoneme_lightning.phones import IGNORE_LABEL

__all__ = ["Batch", "frame_mask", "keep_only", "keep_only_", "send"]


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Tell the real frames from the padding.

    Args:
        lengths: real frames of each utterance, (batch,), int64.
        frames: frames of the padded batch.

    Returns:
        (batch, frames), bool: True where a frame is real.
    """
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Give a tensor of the host on a device; copying it to a GPU is not waited for."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def keep_only(features: Tensor, kept: Tensor) -> Tensor:
    """Give 0 in place of what is not kept, whatever stands there, NaN too.

    Args:
        features: (batch, frames, coefficients), float32.
        kept: bool, of a shape that spreads over the features'.

    Returns:
        As the features.
    """
    if _by_bits(features):
        return (features.view(torch.int32) & -kept.int()).view(torch.float32)
    return features.where(kept, 0.0)


def keep_only_(features: Tensor, kept: Tensor) -> Tensor:
    """As `keep_only`, but in place."""
    if _by_bits(features):
        features.view(torch.int32).bitwise_and_(-kept.int())
        return features
    return features.masked_fill_(~kept, 0.0)


def _by_bits(features: Tensor) -> bool:
    """Whether to clear bits: -1 keeps all of a number's, 0 none.

    On a CPU choosing by a mask that is spread over a few coefficients takes longer. An exported
    graph chooses: ONNX cannot see a float's bits.
    """
    on_cpu = features.device.type == "cpu" and features.dtype == torch.float32
    return on_cpu and not torch.compiler.is_exporting()


@dataclass(frozen=True, eq=False)
class Batch:
    """Utterances padded to the longest of them.

    Attributes:
        features: (batch, frames, coefficients), float32.
        labels: (batch, frames), int64; IGNORE_LABEL in padding and where nothing is known.
        lengths: real frames of each utterance, (batch,), int64.
        utterances: each utterance's position in its frame store, (batch,), int64.
        num_frames: the real frames in all, known without asking the device.
        delta_maps: (batch, 13, 26), float32: how the corpus's own derived coefficients follow
            from the 13 cepstra of the same frame; None unless a corpus has them and they are used.
        lengths_on_host: the lengths once more, where they are known without asking the device.
        mask: (batch, frames), bool, True where a frame is real. Made here, once.
    """

    features: Tensor
    labels: Tensor
    lengths: Tensor
    utterances: Tensor
    num_frames: int
    delta_maps: Tensor | None = None
    lengths_on_host: Tensor | None = None
    mask: Tensor = field(init=False)

    def __post_init__(self) -> None:
        if self.features.ndim != 3:
            raise ValueError(
                f"features must be (batch, frames, coefficients), got {tuple(self.features.shape)}"
            )
        batch, frames, _ = self.features.shape
        for name, expected in (
            ("labels", (batch, frames)),
            ("lengths", (batch,)),
            ("utterances", (batch,)),
        ):
            shape = tuple(getattr(self, name).shape)
            if shape != expected:
                raise ValueError(
                    f"{name} must have shape {expected} beside the features, got {shape}"
                )
        object.__setattr__(self, "mask", frame_mask(self.lengths, frames))

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def collate(
        cls,
        features: Sequence[Tensor],
        labels: Sequence[Tensor | None],
        utterances: Sequence[int],
        delta_maps: Sequence[Tensor] | None = None,
    ) -> Self:
        """Pad utterances, (frames, coefficients) and (frames,) each, into one batch.

        Args:
            features: (frames, coefficients) of each utterance, float32.
            labels: (frames,) of each utterance, or None where the split has no labels.
            utterances: positions in the frame store.
            delta_maps: (13, 26) of each utterance, where they are used.

        Returns:
            The batch; padding is 0 in the features and IGNORE_LABEL in the labels.
        """
        lengths = torch.tensor([len(x) for x in features])
        frames = int(lengths.max())
        padded = torch.zeros(len(features), frames, features[0].shape[1])
        targets = torch.full((len(features), frames), IGNORE_LABEL)
        for row, (x, y) in enumerate(zip(features, labels, strict=True)):
            padded[row, : len(x)] = x
            if y is not None:
                targets[row, : len(y)] = y
        return cls(
            features=padded,
            labels=targets,
            lengths=lengths,
            utterances=torch.tensor(utterances),
            num_frames=int(lengths.sum()),
            delta_maps=None if delta_maps is None else torch.stack(tuple(delta_maps)),
        )

    def with_features(self, features: Tensor) -> Self:
        """Give the batch with other features of the same frames, whose mask is made already."""
        changed = copy(self)
        object.__setattr__(changed, "features", features)
        return changed

    def to(self, device: torch.device | str) -> Self:
        """Give the batch on another device; copying to a GPU is not waited for."""
        target = torch.device(device)
        if target == self.features.device:
            return self
        names = ("features", "labels", "lengths", "utterances", "delta_maps")
        tensors = {name: getattr(self, name) for name in names}
        ahead = target.type == "cuda"
        moved: dict[str, Any] = {
            name: tensor if tensor is None else tensor.to(target, non_blocking=ahead)
            for name, tensor in tensors.items()
        }
        return replace(self, **moved)
