"""The gradient of attention in bf16 on a CPU, by products of whole matrices."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["WholeMatrixGradient"]


class WholeMatrixGradient(torch.autograd.Function):
    """PyTorch's fused attention forwards, and its gradient an utterance at a time.

    On CPUs that multiply matrices in bf16 the fused kernel is quick forwards and slow backwards
    (PyTorch 2.15). Here each utterance's weights are calculated again, over its real frames only,
    in products that use those instructions: about half the time. Weights are bf16 in the gradient,
    of which the error is about 1 % then, instead of half of that.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Attend; for what is given see `F.scaled_dot_product_attention`.

        Args:
            ctx: kept for the gradient.
            query: (batch, heads, frames, head_dim).
            key: (batch, heads, frames, head_dim).
            value: (batch, heads, frames, head_dim).
            mask: (batch, 1, 1, frames), bool, True for an utterance's first frames, its real ones.

        Returns:
            (batch, heads, frames, head_dim).
        """
        ctx.save_for_backward(query, key, value, mask)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Give the gradients of query, key and value, from that of what was attended to."""
        query, key, value, mask = ctx.saved_tensors
        scale = query.shape[-1] ** -0.5
        scaled_key = key * scale
        to_query = torch.empty_like(query)
        to_key, to_value = torch.zeros_like(key), torch.zeros_like(value)
        for row, length in enumerate(mask.sum((1, 2, 3)).tolist()):
            queries, gradients = query[row], gradient[row]
            keys, values = scaled_key[row, :, :length], value[row, :, :length]
            weights = (queries @ keys.mT).softmax(-1)
            to_weights = gradients @ values.mT
            to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
            to_query[row] = to_scores @ keys
            to_key[row, :, :length] = to_scores.mT @ queries
            to_value[row, :, :length] = weights.mT @ gradients
        return to_query, to_key.mul_(scale), to_value, None
