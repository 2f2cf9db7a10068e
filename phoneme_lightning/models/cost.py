"""What a network costs: its parameters, and its arithmetic a frame."""

import copy
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from phoneme_lightning.models.base import Backbone

__all__ = ["count_parameters", "mflops_by_operator", "mflops_per_frame"]


def count_parameters(module: nn.Module) -> int:
    """Count the parameters that training changes."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def mflops_per_frame(backbone: Backbone, frames: int = 256) -> float:
    """Count the arithmetic of a forward pass over one utterance, in millions a frame.

    Args:
        backbone: the network.
        frames: frames of the utterance: attention costs more a frame in a longer one.

    Returns:
        MFLOP a frame; see `mflops_by_operator`.
    """
    return sum(mflops_by_operator(backbone, frames).values())


def mflops_by_operator(backbone: Backbone, frames: int = 256) -> dict[str, float]:
    """Count the arithmetic of a forward pass over one utterance, operator by operator.

    Matrix products, convolutions and attention count, a multiplication and its addition as two;
    training takes about three times as much. A copy on the CPU does the work: neither the
    backbone's mode nor any random state changes.

    Args:
        backbone: the network.
        frames: frames of the utterance.

    Returns:
        Name of PyTorch's operator -> MFLOP a frame.
    """
    twin = copy.deepcopy(backbone).cpu().eval()
    features = torch.zeros(1, frames, backbone.num_features)
    counter = FlopCounterMode(display=False, custom_mapping=UNKNOWN_TO_TORCH)
    with torch.no_grad(), counter:
        twin(features, torch.tensor([frames]))
    counted = counter.get_flop_counts()["Global"]
    return {str(operator): flops / frames / 1e6 for operator, flops in counted.items()}


def lstm_flops(
    inputs: torch.Size, weight_ih: torch.Size, weight_hh: torch.Size, *_: Any, **__: Any
) -> int:
    """Operations of one layer and direction; inputs are (frames, batch, features)."""
    frames, batch, _features = inputs
    return 2 * frames * batch * (weight_ih.numel() + weight_hh.numel())


def attention_flops(
    query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any
) -> int:
    """Operations of attention; all are (batch, heads, frames, size)."""
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


UNKNOWN_TO_TORCH = {
    torch.ops.aten.mkldnn_rnn_layer: lstm_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flops,  # to that of 2.11
}
