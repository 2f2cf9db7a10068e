"""Attention against its formula, and its gradient in bf16 against that in double precision."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from phoneme_lightning.models import attention
from phoneme_lightning.models.attention import attend, rotary_angles, rotate
from phoneme_lightning.models.attention_gradient import WholeMatrixGradient

HEADS, DIM = 2, 24
LENGTHS = torch.tensor([30, 1, 17])
MASK = (torch.arange(30) < LENGTHS[:, None])[:, None, None]
ANGLES = rotary_angles(30, DIM // HEADS, torch.device("cpu"))


def by_formula(query_key_value: Tensor) -> Tensor:
    parts = query_key_value.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # type: ignore[no-untyped-call]
    query, key = (
        torch.complex(*parts[i].chunk(2, -1)) * torch.polar(ANGLES.new_ones(()), ANGLES)
        for i in (0, 1)
    )
    scores = (query @ key.mH).real / (DIM // HEADS) ** 0.5
    return (scores.masked_fill(~MASK, -torch.inf).softmax(-1) @ parts[2]).mT.flatten(1, 2).mT


def outputs_and_gradient(how, inputs: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
    leaf = inputs.clone().requires_grad_()
    attended = how(leaf)
    weight = torch.randn(attended.shape, generator=torch.Generator().manual_seed(1))
    (attended * weight).sum().backward()
    assert leaf.grad is not None
    return attended.detach().double(), leaf.grad.double()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)], ids=["fp32", "bf16"]
)
def test_it_is_the_formula_and_so_is_its_gradient(dtype: torch.dtype, tolerance: float) -> None:
    rounded = (2 * torch.randn(3, 30, 3 * DIM, generator=torch.Generator().manual_seed(0))).to(
        dtype
    )
    mine = outputs_and_gradient(lambda x: attend(x, HEADS, MASK, ANGLES), rounded)
    exact = outputs_and_gradient(by_formula, rounded.double())
    for got, expected in zip(mine, exact, strict=True):
        assert (got - expected).norm() < tolerance * expected.norm()
    padding = mine[1].unflatten(2, (3, -1))[:, :, 1:][~MASK[:, 0, 0]]  # type: ignore[no-untyped-call]
    assert not padding.any()  # keys and values that nobody may attend to


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("learns", [True, False])
def test_only_a_gradient_in_bf16_has_a_kernel_of_its_own(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, learns: bool
) -> None:
    called = []

    class Noted(WholeMatrixGradient):
        @staticmethod
        def forward(ctx, *inputs):  # type: ignore[no-untyped-def]
            called.append(True)
            return WholeMatrixGradient.forward(ctx, *inputs)

    monkeypatch.setattr(attention, "WholeMatrixGradient", Noted)
    with torch.set_grad_enabled(learns):
        attend(torch.randn(3, 30, 3 * DIM, dtype=dtype), HEADS, MASK, ANGLES)
    assert bool(called) == (learns and dtype == torch.bfloat16)


@given(st.integers(0, 24), st.integers(0, 24), st.integers(0, 5))
def test_rotary_positions_tell_only_how_far_apart_two_frames_are(
    one: int, other: int, later: int
) -> None:
    query, key = torch.randn(2, 1, 1, 1, 12, generator=torch.Generator().manual_seed(0))
    turned = [rotate(x.expand(1, 1, 30, 12), ANGLES)[0, 0] for x in (query, key)]
    product = turned[0][one] @ turned[1][other]
    torch.testing.assert_close(
        turned[0][one + later] @ turned[1][other + later], product, atol=1e-4, rtol=1e-4
    )
