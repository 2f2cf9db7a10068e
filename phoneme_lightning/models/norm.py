"""Normalisations of images over time in which padding counts for nothing and comes out as zero."""

from typing import Any

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["FrameBatchNorm", "FrameLayerNorm"]


class FrameBatchNorm(nn.Module):
    """Batch norm with statistics over real frames only, whose output is zero in padding.

    Plain batch norm turns zero padding into its bias, which the next convolution reads. The
    statistics are in fp32 and, under DistributedDataParallel, over the frames of all ranks.
    Parameters and buffers have nn.BatchNorm2d's names. (It must not be one: Lightning's
    `sync_batchnorm` would replace it by a layer that knows no mask.)

    Args:
        channels: channels of the image.
        momentum: weight of the newest batch in the running statistics.
        eps: added to the variance.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Normalise an image.

        Args:
            image: (batch, channels, bins, frames), float.
            mask: (batch, 1, 1, frames), bool, True where a frame is real.

        Returns:
            The normalised image, zero in padding.
        """
        mask = mask.to(image.dtype)
        mean, var = self.running_mean, self.running_var
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.training:
            batch_mean, batch_var = self.statistics(image, mask)
            # The kernel holds mean and variance for constants: hand their gradients on through
            # weight and bias, whose values this leaves as they are.
            mean, var = batch_mean.detach(), batch_var.detach()
            weight = weight * ((var + self.eps) / (batch_var + self.eps)).sqrt()
            bias = bias + weight * (mean - batch_mean) / (var + self.eps).sqrt()
        return F.batch_norm(image, mean, var, weight, bias, eps=self.eps) * mask

    def statistics(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Give each channel's mean and biased variance over real frames, and track them."""
        sums: Tensor = RealFrameSums.apply(image, mask)
        total, squares, count = *sums[:-1].chunk(2), sums[-1]
        mean = total / count
        var = (squares / count - mean.square()).clamp_min(0.0)
        with torch.no_grad():
            unbiased = var * (count / (count - 1.0).clamp_min(1.0))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
            self.num_batches_tracked += 1
        return mean, var


class RealFrameSums(torch.autograd.Function):
    """Sums over the real frames of all ranks, in fp32.

    Takes an image, (batch, channels, bins, frames), and its mask, (batch, 1, 1, frames). Gives each
    channel's sum, each channel's sum of squares and the number of values, (2 * channels + 1,).
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(image, mask)
        real = (image * mask).float()
        count = mask.sum(dtype=torch.float32) * image.shape[2]
        over = (0, 2, 3)
        return over_ranks(torch.cat((real.sum(over), real.square_().sum(over), count[None])))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        image, mask = ctx.saved_tensors
        to_total, to_squares = over_ranks(gradient.clone())[:-1].chunk(2)
        # An affine map of each channel, which batch norm's kernel does in one pass, in fp32.
        mean, var = torch.zeros_like(to_total), torch.ones_like(to_total)
        # (Past F.batch_norm, since that of PyTorch 2.11 refuses an eps of 0.)
        scale = 2.0 * to_squares
        affine = torch.batch_norm(image, scale, to_total, mean, var, False, 0.0, 0.0, True)
        return affine.mul_(mask), None


def over_ranks(sums: Tensor) -> Tensor:
    """Sum in place over the ranks of a distributed fit."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(sums)
    return sums


class FrameLayerNorm(nn.Module):
    """Layer norm of each frame over its channels and bins, whose output is zero in padding.

    A frame is normalised by itself: no running statistics, no difference between training and
    evaluation, nothing to agree on between ranks. Weight and bias are per channel.

    Args:
        channels: channels of the image.
        eps: added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Normalise an image.

        Args:
            image: (batch, channels, bins, frames), float.
            mask: (batch, 1, 1, frames), bool, True where a frame is real.

        Returns:
            The normalised image, zero in padding.
        """
        shape = (image.shape[2], image.shape[1])
        frames = F.layer_norm(
            image.permute(0, 3, 2, 1),
            shape,
            self.weight.expand(shape),
            self.bias.expand(shape),
            self.eps,
        )
        image_format = torch.channels_last
        normed = frames.permute(0, 3, 2, 1).to(image.dtype).contiguous(memory_format=image_format)
        return normed * mask.to(image.dtype)
