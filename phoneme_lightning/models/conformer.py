"""A Conformer encoder: attention over the whole utterance and convolution around each frame."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from phoneme_lightning.models.attention import attend, rotary_angles
from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.depthwise import DepthwiseConvolution
from phoneme_lightning.models.dropout import Dropout
from phoneme_lightning.models.sizes import check_heads, check_kernel_size

__all__ = ["Conformer"]

STEM_KERNEL_SIZE = 5


class Conformer(Backbone):
    """Half a feed-forward branch, attention, a convolution, the other half and a norm, many times.

    Gulati et al. (2020, 2005.08100), at the full rate of frames. Unlike theirs, positions are
    rotary, and the convolution branch normalises each frame by itself instead of over the batch,
    so that padding changes nothing.

    Receptive field: the whole utterance. Latency: the whole utterance.

    Args:
        num_features: coefficients a frame.
        dim: size of the vectors a frame, and of the output.
        num_layers: encoder layers.
        num_heads: attention heads; dim must be an even multiple of them.
        feed_forward: hidden units of each of a layer's two feed-forward branches.
        kernel_size: frames under the convolution of each layer; odd.
        dropout: share of each branch's output, and of the feed-forward units, dropped in training.

    Raises:
        InputError: dim is not an even multiple of num_heads, or kernel_size is even.
    """

    def __init__(
        self,
        num_features: int = 39,
        dim: int = 256,
        num_layers: int = 8,
        num_heads: int = 4,
        feed_forward: int = 1024,
        kernel_size: int = 31,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(num_features, output_dim=dim)
        check_heads(dim, num_heads)
        check_kernel_size(kernel_size)
        self.head_dim = dim // num_heads
        self.stem = nn.Conv1d(num_features, dim, STEM_KERNEL_SIZE, padding=STEM_KERNEL_SIZE // 2)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            ConformerLayer(dim, num_heads, feed_forward, kernel_size, dropout)
            for _ in range(num_layers)
        )
        for name, parameter in self.layers.named_parameters():
            if name.endswith(("project.weight", "narrow.weight")):
                # Branches begin small beside what they are added to, so that gradients pass all of
                # the norms between the layers.
                std = 1 / math.sqrt(parameter.shape[1] * 2 * num_layers)
                nn.init.normal_(parameter, std=std)

    def encode(self, features: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Encode features whose padding is zero; see `Backbone.encode`."""
        hidden: Tensor = self.dropout(self.stem(features.transpose(1, 2)).transpose(1, 2))
        angles = rotary_angles(hidden.shape[1], self.head_dim, hidden.device)
        for layer in self.layers:
            hidden = layer(hidden, mask, angles)
        return hidden


class ConformerLayer(nn.Module):
    """The four branches, each added to its input, and the norm of their sum."""

    def __init__(
        self, dim: int, num_heads: int, feed_forward: int, kernel_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.first_half = FeedForward(dim, feed_forward, dropout)
        self.attention = SelfAttention(dim, num_heads, dropout)
        self.convolution = Convolution(dim, kernel_size, dropout)
        self.second_half = FeedForward(dim, feed_forward, dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, hidden: Tensor, mask: Tensor, angles: Tensor) -> Tensor:
        """Encode one layer further.

        Args:
            hidden: (batch, frames, dim).
            mask: (batch, frames), bool, True where a frame is real.
            angles: (frames, dim / num_heads / 2), from `rotary_angles`.

        Returns:
            (batch, frames, dim).
        """
        hidden = hidden.add(self.first_half(hidden), alpha=0.5)
        hidden = hidden + self.attention(hidden, mask[:, None, None], angles)
        hidden = hidden + self.convolution(hidden, mask[..., None])
        normed: Tensor = self.norm(hidden.add(self.second_half(hidden), alpha=0.5))
        return normed


class FeedForward(nn.Module):
    """Norm, a map to more units, SiLU and a map back."""

    def __init__(self, dim: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, feed_forward)
        self.narrow = nn.Linear(feed_forward, dim)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Give what is to be added, by half, to (batch, frames, dim)."""
        widened = self.dropout(F.silu(self.widen(self.norm(hidden))))
        residual: Tensor = self.dropout(self.narrow(widened))
        return residual


class SelfAttention(nn.Module):
    """Norm and attention of every frame to all real ones."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor, angles: Tensor) -> Tensor:
        """Give what is to be added to (batch, frames, dim); for the others see `attend`."""
        heads = self.query_key_value(self.norm(hidden))
        attended = attend(heads, self.num_heads, mask, angles)
        residual: Tensor = self.dropout(self.project(attended))
        return residual


class Convolution(nn.Module):
    """Norm, a gated map of each frame, a convolution of each channel, norm, SiLU and a map."""

    def __init__(self, dim: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.gate = nn.Linear(dim, 2 * dim)
        self.depthwise = DepthwiseConvolution(dim, kernel_size)
        self.inner_norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Give what is to be added to (batch, frames, dim); mask is (batch, frames, 1), bool."""
        gated = F.glu(self.gate(self.norm(hidden)), dim=-1).where(mask, 0.0)
        mixed = self.inner_norm(self.depthwise(gated))
        residual: Tensor = self.dropout(self.project(F.silu(mixed)))
        return residual
