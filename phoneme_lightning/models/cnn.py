"""Dilated convolutions over time with residual connections, and no recurrence."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.dropout import Dropout
from phoneme_lightning.models.sizes import check_kernel_size

__all__ = ["CNN", "ResidualBlock", "residual_blocks"]


class CNN(Backbone):
    """Pre-norm residual blocks of dilated convolutions, as in a temporal convolutional network.

    After Bai et al. (2018, 1803.01271), but looking both ways and normalised per frame instead of
    over time, so that padding changes nothing.

    Receptive field each side: (kernel_size - 1) / 2 frames times 1 + the sum of all blocks'
    dilations; 122 frames by default. Latency: as many frames.

    Args:
        num_features: coefficients a frame.
        dim: channels of every block, and of the output.
        num_blocks: residual blocks.
        kernel_size: frames under one convolution; odd.
        dilations: dilations of the convolutions, taken in turn, block by block.
        dropout: share of each block's activations dropped in training.

    Raises:
        InputError: kernel_size is even.
    """

    def __init__(
        self,
        num_features: int = 39,
        dim: int = 256,
        num_blocks: int = 16,
        kernel_size: int = 5,
        dilations: tuple[int, ...] = (1, 2, 4, 8),
        dropout: float = 0.2,
    ) -> None:
        super().__init__(num_features, output_dim=dim)
        check_kernel_size(kernel_size)
        self.stem = nn.Conv1d(num_features, dim, kernel_size, padding=kernel_size // 2)
        turns = [dilations[block % len(dilations)] for block in range(num_blocks)]
        self.blocks = residual_blocks(dim, kernel_size, turns, dropout)
        self.norm = nn.LayerNorm(dim)

    def encode(self, features: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Encode features whose padding is zero; see `Backbone.encode`."""
        hidden: Tensor = self.stem(features.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden, mask[..., None])
        encoded: Tensor = self.norm(hidden)
        return encoded


def residual_blocks(
    dim: int, kernel_size: int, dilations: Sequence[int], dropout: float
) -> nn.ModuleList:
    """Make one `ResidualBlock` for each dilation, to be run one after the other."""
    blocks = nn.ModuleList(
        ResidualBlock(dim, kernel_size, dilation, dropout) for dilation in dilations
    )
    for block in blocks:
        # Every block adds to one sum: keep its variance from growing with the depth.
        nn.init.normal_(block.get_parameter("mix.weight"), std=1 / math.sqrt(dim * len(blocks)))
    return blocks


class ResidualBlock(nn.Module):
    """Norm, dilated convolution, GELU, dropout and a map of each frame, added to the input."""

    def __init__(self, dim: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        padding = dilation * (kernel_size // 2)
        self.convolution = nn.Conv1d(dim, dim, kernel_size, padding=padding, dilation=dilation)
        self.dropout = Dropout(dropout)
        self.mix = nn.Linear(dim, dim)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Add the residual to (batch, frames, dim); mask is (batch, frames, 1), bool."""
        inputs = self.norm(hidden).where(mask, 0.0)
        activations = F.gelu(self.convolution(inputs.transpose(1, 2))).transpose(1, 2)
        residual: Tensor = self.mix(self.dropout(activations))
        return hidden + residual
