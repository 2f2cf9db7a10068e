"""The convolution of each channel against PyTorch's own."""

import pytest
import torch
from torch import Tensor, nn

from phoneme_lightning.models import depthwise
from phoneme_lightning.models.depthwise import DepthwiseConvolution


def outputs_and_gradients(layer: nn.Module, inputs: Tensor, is_low: bool) -> list[Tensor]:
    leaf = inputs.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=is_low):
        outputs = layer(leaf).float()
    weight = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1))
    (outputs * weight).sum().backward()
    gradients = [leaf.grad, *(parameter.grad for parameter in layer.parameters())]
    return [outputs.detach(), *(gradient for gradient in gradients if gradient is not None)]


class Plain(nn.Conv1d):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.mT).mT


@pytest.mark.parametrize(
    ("is_low", "tolerance"), [(False, 1e-5), (True, 0.02)], ids=["fp32", "bf16"]
)
@pytest.mark.parametrize(("frames", "kernel_size"), [(40, 7), (3, 31), (1, 1)])
def test_it_is_pytorchs_own_over_frames(
    frames: int, kernel_size: int, is_low: bool, tolerance: float
) -> None:
    torch.manual_seed(0)
    ours = DepthwiseConvolution(24, kernel_size)
    theirs = Plain(24, 24, kernel_size, padding=kernel_size // 2, groups=24)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(3, frames, 24)
    found = outputs_and_gradients(ours, inputs, is_low)
    expected = outputs_and_gradients(theirs, inputs, is_low=False)
    assert len(found) == len(expected) == 4
    for got, right in zip(found, expected, strict=True):
        assert got.shape == right.shape
        assert (got - right).norm() <= tolerance * right.norm()


def test_few_channels_keep_off_the_kernel_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(depthwise, "OverImages")
    ours = DepthwiseConvolution(16, 31)
    theirs = Plain(16, 16, 31, padding=15, groups=16)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(2, 60, 16)
    found, expected = (outputs_and_gradients(one, inputs, True) for one in (ours, theirs))
    assert len(found) == 4
    for got, right in zip(found, expected, strict=True):
        torch.testing.assert_close(got, right)
