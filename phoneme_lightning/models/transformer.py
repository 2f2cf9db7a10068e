"""A Transformer encoder with rotary positions."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phoneme_lightning.errors import InputError
from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.dropout import Dropout

__all__ = ["Transformer"]


class Transformer(Backbone):
    """Pre-norm self-attention over the whole utterance, behind two convolutions over time.

    Xiong et al. (2020, 2002.04745) for the norms before each branch; Su et al. (2021, 2104.09864)
    for the rotary positions, which tell only how far apart two frames are.

    Receptive field: the whole utterance. Latency: the whole utterance.

    Args:
        num_features: coefficients a frame.
        dim: size of the vectors a frame, and of the output.
        num_layers: encoder layers.
        num_heads: attention heads; dim must be an even multiple of them.
        feed_forward: hidden units of each layer's feed-forward branch.
        kernel_size: frames under each of the two input convolutions; odd.
        dropout: share of each branch's output, and of the feed-forward units, dropped in training;
            attention weights are not dropped, as the fused kernels then stay in use.

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
        kernel_size: int = 5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(num_features, output_dim=dim)
        if dim % (2 * num_heads):
            raise InputError(
                f"model.backbone.init_args.dim is {dim}: it must be an even multiple of num_heads "
                f"({num_heads}), such as {64 * num_heads}"
            )
        if kernel_size % 2 == 0:
            raise InputError(
                f"model.backbone.init_args.kernel_size is {kernel_size}: it must be odd, so that "
                f"a frame looks equally far both ways, such as {kernel_size + 1}"
            )
        self.head_dim = dim // num_heads
        padding = kernel_size // 2
        self.stem = nn.Conv1d(num_features, dim, kernel_size, padding=padding)
        self.mix = nn.Conv1d(dim, dim, kernel_size, padding=padding)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, feed_forward, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        for name, parameter in self.layers.named_parameters():
            if name.endswith(("project.weight", "narrow.weight")):
                # Two branches a layer add to one sum: keep its variance from growing with depth.
                std = 1 / math.sqrt(parameter.shape[1] * 2 * num_layers)
                nn.init.normal_(parameter, std=std)

    def encode(self, features: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Encode features whose padding is zero; see `Backbone.encode`."""
        hidden = F.gelu(self.stem(features.transpose(1, 2))).where(mask[:, None], 0.0)
        hidden = self.dropout(self.mix(hidden).transpose(1, 2))
        angles = rotary_angles(hidden.shape[1], self.head_dim, hidden.device)
        for layer in self.layers:
            hidden = layer(hidden, mask[:, None, None], angles)
        encoded: Tensor = self.norm(hidden)
        return encoded


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward branch, each normalised before and added to its input."""

    def __init__(self, dim: int, num_heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, feed_forward)
        self.narrow = nn.Linear(feed_forward, dim)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor, angles: Tensor) -> Tensor:
        """Encode one layer further.

        Args:
            hidden: (batch, frames, dim).
            mask: (batch, 1, 1, frames), bool, True where a frame may be attended to.
            angles: (frames, dim / num_heads / 2), from `rotary_angles`.

        Returns:
            (batch, frames, dim).
        """
        heads = self.query_key_value(self.attention_norm(hidden)).unflatten(
            2, (3, self.num_heads, -1)
        )
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(
            rotate(query, angles), rotate(key, angles), value, attn_mask=mask
        )
        hidden = hidden + self.dropout(self.project(attended.transpose(1, 2).flatten(2)))
        widened = F.gelu(self.widen(self.feed_forward_norm(hidden)))
        residual: Tensor = self.dropout(self.narrow(self.dropout(widened)))
        return hidden + residual


def rotary_angles(frames: int, head_dim: int, device: torch.device) -> Tensor:
    """Angle of every frame in every plane, (frames, head_dim / 2), float32, in radians."""
    planes = torch.arange(0, head_dim, 2, device=device, dtype=torch.float32)
    positions = torch.arange(frames, device=device, dtype=torch.float32)
    return torch.outer(positions, 10_000.0 ** (-planes / head_dim))


def rotate(heads: Tensor, angles: Tensor) -> Tensor:
    """Turn each pair of (batch, heads, frames, head_dim)'s halves by its frame's angle, in fp32."""
    first, second = heads.float().chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    turned = torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)
    return turned.to(heads.dtype)
