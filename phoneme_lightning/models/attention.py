"""Self-attention with rotary positions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from phoneme_lightning.models.attention_gradient import WholeMatrixGradient

__all__ = ["attend", "rotary_angles", "rotate"]


def attend(query_key_value: Tensor, num_heads: int, mask: Tensor, angles: Tensor) -> Tensor:
    """Let every frame attend to all real frames of its utterance.

    Su et al. (2021, 2104.09864) for the rotary positions, which tell only how far apart two frames
    are. Attention weights are never dropped, so that the fused kernels stay in use.

    Args:
        query_key_value: (batch, frames, 3 * dim): all heads' queries, then keys, then values.
        num_heads: attention heads; dim is an even multiple of them.
        mask: (batch, 1, 1, frames), bool, True for an utterance's first frames, its real ones.
        angles: (frames, dim / num_heads / 2), from `rotary_angles`.

    Returns:
        (batch, frames, dim), the heads side by side.
    """
    heads = query_key_value.reshape(*query_key_value.shape[:2], 3, num_heads, -1)
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    query, key = rotate(query, angles), rotate(key, angles)
    is_bf16_on_cpu = query.device.type == "cpu" and query.dtype == torch.bfloat16
    if is_bf16_on_cpu and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        attended: Tensor = WholeMatrixGradient.apply(query, key, value, mask)
    else:
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return attended.transpose(1, 2).flatten(2)


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
