"""A Transformer encoder with rotary positions."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from phoneme_lightning.models.attention import attend, rotary_angles
from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.dropout import Dropout
from phoneme_lightning.models.sizes import check_heads, check_kernel_size

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
        check_heads(dim, num_heads)
        check_kernel_size(kernel_size)
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
        heads = self.query_key_value(self.attention_norm(hidden))
        attended = attend(heads, self.num_heads, mask, angles)
        hidden = hidden + self.dropout(self.project(attended))
        widened = F.gelu(self.widen(self.feed_forward_norm(hidden)))
        residual: Tensor = self.dropout(self.narrow(self.dropout(widened)))
        return hidden + residual
