"""Dropout whose noise is cheap on a CPU."""

import torch
from torch import Tensor, nn

__all__ = ["Dropout"]

LEVELS = 2**16


class Dropout(nn.Dropout):
    """Set a share of the elements to zero in training, and scale up the others.

    PyTorch's own draws a number an element on a CPU, one after the other on one core, and takes a
    large part of a training step. Here one draw of 64 bits decides over four elements, so that the
    share is a multiple of 1 / 65,536. Elsewhere it is PyTorch's own.

    Args:
        p: share that is dropped.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop elements of a tensor of any shape; in evaluation it is given back as it is."""
        if not self.training or self.p == 0 or inputs.device.type != "cpu":
            return super().forward(inputs)
        count = inputs.numel()
        dropped = round(self.p * LEVELS)
        draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
        levels = draws.view(torch.int16)[:count].view(inputs.shape)
        # Greater and not greater or equal: 1, which drops all, has its bound among the levels.
        keep = torch.gt(levels, dropped - 1 - LEVELS // 2, out=torch.empty_like(inputs))
        return inputs * keep.mul_(LEVELS / max(1, LEVELS - dropped))
