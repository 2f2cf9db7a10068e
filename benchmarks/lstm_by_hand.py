"""Two LSTM layers, one a direction, whose steps and gradient are written out in PyTorch.

What ideas.py sets beside oneDNN's: all products that need no step before them are made in one piece
each, above all the gradient of the weights, which oneDNN adds up step by step.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["TwoLSTMs"]


def packed(weight: Tensor, rows: int) -> Tensor:
    """Lay a weight, (outputs, inputs), out for oneDNN's products with so many rows."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)  # type: ignore[no-any-return]


def product(inputs: Tensor, weight: Tensor) -> Tensor:
    """Multiply by a packed weight: (rows, inputs) -> (rows, outputs)."""
    return torch.ops.mkldnn._linear_pointwise(inputs, weight, None, "none", [], "")  # type: ignore[no-any-return]


class TwoLSTMs(torch.autograd.Function):
    """Run two LSTM layers of one size side by side; the gates stand in the order i, f, o, g."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, into: Tensor, over: Tensor, bias: Tensor) -> Tensor:
        """Give outputs (frames, 2, batch, units).

        Args:
            ctx: keeps what the gradient needs.
            inputs: (2, frames, batch, features), bf16.
            into: weights of the inputs, (2, 4 units, features), bf16.
            over: weights of the state before, (2, 4 units, units), bf16.
            bias: (2, 4 units), bf16.
        """
        _, frames, batch, _ = inputs.shape
        units = over.shape[2]
        given = [
            F.linear(x.flatten(0, 1), w, b) for x, w, b in zip(inputs, into, bias, strict=True)
        ]
        given = [x.view(frames, batch, -1) for x in given]
        weights = [packed(w, batch) for w in over]
        gates = torch.empty(frames, 2, batch, 4 * units)
        cells = torch.zeros(frames + 1, 2, batch, units)
        bent = torch.empty(frames, 2, batch, units)
        outputs = torch.zeros(frames + 1, 2, batch, units, dtype=inputs.dtype)
        for step in range(frames):
            for d in range(2):
                state = product(outputs[step, d], weights[d])
                gates[step, d].copy_(state.add_(given[d][step]))
            i, f, o, g = gates[step].split(units, -1)
            gates[step, ..., : 3 * units].sigmoid_()
            g.tanh_()
            torch.mul(cells[step], f, out=cells[step + 1]).addcmul_(i, g)
            outputs[step + 1].copy_(torch.tanh(cells[step + 1], out=bent[step]) * o)
        ctx.save_for_backward(inputs, into, over, gates, cells, bent, outputs)
        return outputs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Give the gradients of all that went in."""
        inputs, into, over, gates, cells, bent, outputs = ctx.saved_tensors
        frames, _, batch, units = gradient.shape
        weights = [packed(w.t(), batch) for w in over]
        low = torch.empty(frames, 2, batch, 4 * units, dtype=inputs.dtype)
        here = torch.empty(2, batch, 4 * units)
        to_i, to_f, to_o, to_g = here.split(units, -1)
        part = torch.empty(2, batch, units)
        to_cell = torch.zeros(2, batch, units)
        to_output = gradient[-1].float()
        aten = torch.ops.aten
        for step in reversed(range(frames)):
            i, f, o, g = gates[step].split(units, -1)
            opened, sigmoids = here[..., : 3 * units], gates[step, ..., : 3 * units]
            aten.tanh_backward.grad_input(to_output * o, bent[step], grad_input=part)
            to_cell.add_(part)
            torch.mul(to_cell, g, out=to_i)
            torch.mul(to_cell, cells[step], out=to_f)
            torch.mul(to_output, bent[step], out=to_o)
            aten.sigmoid_backward.grad_input(opened, sigmoids, grad_input=opened)
            aten.tanh_backward.grad_input(torch.mul(to_cell, i, out=part), g, grad_input=to_g)
            low[step].copy_(here)
            to_cell.mul_(f)
            if step:
                for d in range(2):
                    state = product(low[step, d], weights[d])
                    to_output[d].copy_(state.add_(gradient[step - 1, d]))
        flat = [low[:, d].flatten(0, 1) for d in range(2)]
        before = [outputs[:-1, d].flatten(0, 1) for d in range(2)]
        return (
            torch.stack([(x @ w).view(frames, batch, -1) for x, w in zip(flat, into, strict=True)]),
            torch.stack([x.t() @ y.flatten(0, 1) for x, y in zip(flat, inputs, strict=True)]),
            torch.stack([x.t() @ y for x, y in zip(flat, before, strict=True)]),
            torch.stack([x.sum(0) for x in flat]),
        )
