"""Dropout on a CPU against what the word means."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.models.dropout import Dropout


@given(
    share=st.floats(0.0, 1.0),
    shape=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_an_element_is_dropped_or_scaled_and_so_is_its_gradient(share, shape, dtype):
    inputs = torch.ones(shape, dtype=dtype, requires_grad=True)
    outputs = Dropout(share)(inputs)
    assert outputs.dtype == dtype
    assert outputs.shape == inputs.shape
    outputs.sum().backward()
    assert torch.equal(inputs.grad, outputs)
    kept = outputs[outputs != 0].double()
    if 0 < share < 1 - 1e-4:
        expected = torch.full_like(kept, 1 / (1 - share))
        torch.testing.assert_close(kept, expected, rtol=2e-2, atol=0)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1e-3])
def test_the_share_is_kept_to_and_elements_know_nothing_of_each_other(share):
    torch.manual_seed(0)
    count = 1_000_000
    dropped = (Dropout(share)(torch.ones(count)) == 0).double()
    deviation = (share * (1 - share) / count) ** 0.5
    assert abs(dropped.mean() - share) < 5 * deviation
    rest = (dropped - share) / (share * (1 - share)) ** 0.5
    for distance in (1, 2, 3, 4, 8):  # four share a random number
        assert abs((rest[distance:] * rest[:-distance]).mean()) < 5 / count**0.5
    assert Dropout(share)(torch.ones(count)).mean() == pytest.approx(1, abs=10 * deviation)


def test_all_or_nothing():
    inputs = torch.randn(1000)
    assert torch.equal(Dropout(0.0)(inputs), inputs)
    assert not Dropout(1.0)(inputs).any()
    assert Dropout(0.5).eval()(inputs) is inputs


def test_the_same_seed_drops_the_same():
    first, second = (torch.manual_seed(1) and Dropout(0.3)(torch.ones(3, 5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, Dropout(0.3)(torch.ones(3, 5)))
