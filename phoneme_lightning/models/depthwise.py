"""A convolution of each channel by itself over time."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input, conv2d_weight

__all__ = ["DepthwiseConvolution"]

FEW_CHANNELS = 16
"""With so many or fewer, wide kernels over such an image never come to an end in bf16: oneDNN makes
their code for ever (PyTorch 2.15)."""


class DepthwiseConvolution(nn.Conv1d):
    """A convolution over time of each channel by itself, which keeps the number of frames.

    PyTorch's own wants channels before frames, and is many times slower on a CPU than this, which
    runs over an image whose channels lie side by side in memory.

    Args:
        channels: channels that come in and go out.
        kernel_size: frames under the convolution; odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels, channels, kernel_size, groups=channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve (batch, frames, channels), with zeros before the first and after the last."""
        assert self.bias is not None
        if inputs.device.type == "cpu" and self.in_channels > FEW_CHANNELS:
            mixed: Tensor = OverImages.apply(inputs, self.weight, self.bias)
            return mixed
        padding = self.kernel_size[0] // 2
        return F.conv1d(inputs.mT, self.weight, self.bias, padding=padding, groups=self.groups).mT


class OverImages(Function):
    """The convolution over an image one frame high, its weights' gradient over one as wide.

    Both are the same memory, and each is several times quicker than the other at what it does here
    (PyTorch 2.15, in bf16).
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        weight, bias = weight.to(inputs.dtype), bias.to(inputs.dtype)
        ctx.save_for_backward(inputs, weight)
        padding = (0, weight.shape[2] // 2)
        mixed = F.conv2d(
            flat(inputs), weight.unsqueeze(2), bias, padding=padding, groups=len(weight)
        )
        return mixed.squeeze(2).mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs, weight = ctx.saved_tensors
        gradient = gradient.to(inputs.dtype).contiguous()
        kernels, padding = weight.unsqueeze(2), weight.shape[2] // 2
        to_inputs = conv2d_input(  # type: ignore[no-untyped-call]
            flat(inputs).shape, kernels, flat(gradient), padding=(0, padding), groups=len(weight)
        )
        to_weight = conv2d_weight(  # type: ignore[no-untyped-call]
            tall(inputs), kernels.mT.shape, tall(gradient), padding=(padding, 0), groups=len(weight)
        )
        return to_inputs.squeeze(2).mT, to_weight.squeeze(3), gradient.sum((0, 1))


def flat(frames: Tensor) -> Tensor:
    """See (batch, frames, channels) as an image, (batch, channels, 1, frames)."""
    return frames.mT.unsqueeze(2)


def tall(frames: Tensor) -> Tensor:
    """See (batch, frames, channels) as an image, (batch, channels, frames, 1)."""
    return frames.mT.unsqueeze(3)
