"""The counts of parameters and arithmetic against the closed formulas."""

import pytest
import torch

from phoneme_lightning.models import CNN, RNN, Conformer, Transformer
from phoneme_lightning.models.cost import count_parameters, mflops_by_operator, mflops_per_frame


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_recurrent_layers_cost_their_matrix_products(cell: str, gates: int) -> None:
    backbone = RNN(cell=cell, hidden_size=8, num_layers=2, projection=10)
    cells = 2 * gates * 8 * ((10 + 8) + (16 + 8))
    assert mflops_per_frame(backbone, frames=6) == pytest.approx(2 * (39 * 10 + cells) / 1e6)
    biases = 10 + 2 * gates * 8 * 2 * 2
    assert count_parameters(backbone) == 39 * 10 + cells + biases


def test_attention_costs_more_a_frame_in_a_longer_utterance() -> None:
    backbone = Transformer(dim=16, num_layers=3, num_heads=2, feed_forward=32)
    stem = 5 * 39 * 16 + 5 * 16 * 16
    layers = 3 * (4 * 16 * 16 + 2 * 16 * 32)
    for frames in (10, 50):
        attention = 3 * 2 * frames * 16
        expected = 2 * (stem + layers + attention) / 1e6
        assert mflops_per_frame(backbone, frames) == pytest.approx(expected)


def test_a_conformer_costs_its_products_its_attention_and_its_convolutions() -> None:
    backbone = Conformer(dim=16, num_layers=3, num_heads=2, feed_forward=32, kernel_size=7)
    layer = 2 * 2 * 16 * 32 + 4 * 16 * 16 + 2 * 10 * 16 + 3 * 16 * 16 + 7 * 16
    expected = 2 * (5 * 39 * 16 + 3 * layer) / 1e6
    assert mflops_per_frame(backbone, frames=10) == pytest.approx(expected)


def test_each_operator_is_counted_by_its_name() -> None:
    backbone = CNN(dim=8, num_blocks=2, kernel_size=3)
    found = mflops_by_operator(backbone, frames=10)
    convolutions = 2 * (3 * 39 * 8 + 2 * 3 * 8 * 8) / 1e6
    assert found.pop("aten.convolution") == pytest.approx(convolutions)
    assert sum(found.values()) == pytest.approx(2 * 2 * 8 * 8 / 1e6)


def test_counting_leaves_mode_and_random_state_alone() -> None:
    backbone = CNN(dim=8, num_blocks=2).train()
    backbone.norm.eval()
    modes = [module.training for module in backbone.modules()]
    state = torch.get_rng_state()
    mflops_per_frame(backbone, frames=4)
    assert [module.training for module in backbone.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)


def test_frozen_parameters_do_not_count() -> None:
    backbone = RNN(hidden_size=8, projection=10)
    whole = count_parameters(backbone)
    backbone.get_submodule("projection").requires_grad_(False)
    assert whole - count_parameters(backbone) == 39 * 10 + 10
