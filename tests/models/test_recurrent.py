"""The recurrent layers against PyTorch's own, and the precision that they run in."""

from contextlib import AbstractContextManager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode

from phoneme_lightning.models.recurrent import BidirectionalRNN, reversal_within_lengths
from phoneme_lightning.models.recurrent_precision import recurrent_dtype


def packed_twin(layers: BidirectionalRNN, kind: type[nn.LSTM] | type[nn.GRU]) -> nn.LSTM | nn.GRU:
    """PyTorch's bidirectional layers with the same weights."""
    first = layers.get_submodule("forward_layers.0")
    sizes = (first.input_size, first.hidden_size, len(layers.forward_layers))
    twin = kind(*sizes, batch_first=True, bidirectional=True)
    for depth in range(len(layers.forward_layers)):
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            layer = layers.get_submodule(f"{direction}_layers.{depth}")
            for name, weight in layer.named_parameters():
                twin.get_parameter(name.replace("_l0", f"_l{depth}{suffix}")).data = weight.data
    return twin


@pytest.mark.parametrize(("cell", "kind"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_it_equals_pytorchs_own_layers_over_packed_utterances(cell: str, kind: type) -> None:
    layers = BidirectionalRNN(7, hidden_size=5, num_layers=2, cell=cell, dropout=0.0)
    inputs, lengths = torch.randn(4, 11, 7), torch.tensor([11, 8, 3, 1])
    packed = pack_padded_sequence(inputs, lengths, batch_first=True)
    expected, _ = pad_packed_sequence(packed_twin(layers, kind)(packed)[0], batch_first=True)
    encoded = layers(inputs, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(encoded[row, :length], expected[row, :length])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 3))
def test_reversal_turns_each_utterance_round_and_leaves_its_padding(
    lengths: list[int], padding: int
) -> None:
    frames = max(lengths) + padding
    index = reversal_within_lengths(torch.tensor(lengths), frames)
    for row, length in zip(index.tolist(), lengths, strict=True):
        assert row == [*range(length - 1, -1, -1), *range(length, frames)]


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("given_dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("asked", [torch.bfloat16, torch.float16, None])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_layer_runs_in_the_precision_that_is_said(
    cell: str,
    asked: torch.dtype | None,
    given_dtype: torch.dtype,
    training: bool,
    context: type[AbstractContextManager[None]],
) -> None:
    layers = BidirectionalRNN(6, hidden_size=4, num_layers=2, cell=cell).train(training)
    seen: list[torch.dtype] = []

    class Note(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            outputs = function(*args, **(kwargs or {}))
            if function in (torch.lstm, torch.gru):
                seen.extend((args[0].dtype, outputs[0].dtype))
            return outputs

    inputs = torch.randn(2, 5, 6)
    enabled = asked is not None
    with context(), Note(), torch.autocast("cpu", asked or torch.bfloat16, enabled=enabled):
        encoded = layers(inputs.to(given_dtype) if enabled else inputs, torch.tensor([5, 2]))
    assert set(seen) == {encoded.dtype} == {recurrent_dtype("cpu", asked)}


def test_the_forget_gate_starts_open_and_recurrent_weights_orthogonal() -> None:
    layer = BidirectionalRNN(6, hidden_size=4).get_submodule("forward_layers.0")
    assert (layer.bias_ih_l0 + layer.bias_hh_l0).tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
    for gate in layer.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4))
