"""Bidirectional LSTM or GRU layers in which padding changes nothing, without packing."""

from typing import Literal

import torch
from torch import Tensor, nn

from phoneme_lightning.models.dropout import Dropout
from phoneme_lightning.models.recurrent_precision import recurrent_dtype, run_layer

__all__ = ["BidirectionalRNN", "reversal_within_lengths"]


def reversal_within_lengths(lengths: Tensor, frames: int) -> Tensor:
    """Index that reverses each utterance within its own length and leaves its padding in place.

    Args:
        lengths: real frames of each utterance, (batch,), int64.
        frames: frames of the padded batch.

    Returns:
        (batch, frames), int64: the frame to read at each place. It is its own inverse.
    """
    index = torch.arange(frames, device=lengths.device).expand(len(lengths), frames)
    last = lengths[:, None] - 1
    return torch.where(index <= last, last - index, index)


def reorder(inputs: Tensor, index: Tensor) -> Tensor:
    """Read the frames of (batch, frames, size) in the order of index, (batch, frames)."""
    batch, frames, size = inputs.shape
    first = frames * torch.arange(batch, device=inputs.device)[:, None]
    # Whole rows: several times faster than a gather, both ways, on a CPU.
    rows = inputs.reshape(batch * frames, size).index_select(0, (first + index).flatten())
    return rows.view(batch, frames, size)


class BidirectionalRNN(nn.Module):
    """Layers of two one-way cells each, one of which reads every utterance from its last frame.

    A bidirectional nn.LSTM starts its backward direction inside the padding, and packing to
    prevent it is many times slower. Here the backward direction reads the utterance reversed
    within its length, so that both directions meet the padding only after the last real frame.

    Receptive field: the whole utterance. Latency: the whole utterance.

    Args:
        input_size: size of the vector a frame that it takes.
        hidden_size: units of one direction of one layer.
        num_layers: layers, each of both directions.
        cell: "lstm" or "gru".
        dropout: share of each layer's outputs that is dropped in training, the last layer's too:
            all connections but the recurrent ones and the input's (Zaremba et al. 2014, 1409.2329).

    Attributes:
        output_dim: 2 * hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 512,
        num_layers: int = 2,
        cell: Literal["lstm", "gru"] = "lstm",
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        make = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.output_dim = 2 * hidden_size
        sizes = [input_size] + [self.output_dim] * (num_layers - 1)
        self.forward_layers = nn.ModuleList(
            make(size, hidden_size, batch_first=True) for size in sizes
        )
        self.backward_layers = nn.ModuleList(
            make(size, hidden_size, batch_first=True) for size in sizes
        )
        self.dropout = Dropout(dropout)
        for layer in self.modules():
            if isinstance(layer, nn.LSTM | nn.GRU):
                initialise(layer)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Run all layers over padded utterances.

        Args:
            inputs: (batch, frames, input_size); finite in the padding too.
            lengths: real frames of each utterance, (batch,), int64.

        Returns:
            (batch, frames, output_dim), of dtype `recurrent_dtype(...)` under autocast; what
            stands in padding means nothing.
        """
        device_type = inputs.device.type
        if torch.is_autocast_enabled(device_type):
            asked = torch.get_autocast_dtype(device_type)
            inputs = inputs.to(recurrent_dtype(device_type, asked))
        index = reversal_within_lengths(lengths, inputs.shape[1])
        for onward, backward in zip(self.forward_layers, self.backward_layers, strict=True):
            assert isinstance(onward, nn.LSTM | nn.GRU)
            assert isinstance(backward, nn.LSTM | nn.GRU)
            ahead = run_layer(onward, inputs)
            behind = run_layer(backward, reorder(inputs, index))
            inputs = self.dropout(torch.cat((ahead, reorder(behind, index)), dim=-1))
        return inputs


def initialise(layer: nn.LSTM | nn.GRU) -> None:
    """Set one cell: orthogonal recurrent weights, Glorot input weights, an open forget gate.

    Every gate is set by itself: the recurrent weights of a cell are orthogonal gate by gate.
    """
    for name, parameter in layer.named_parameters():
        gates = parameter.detach().chunk(4 if isinstance(layer, nn.LSTM) else 3)
        for position, gate in enumerate(gates):
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(gate)
            else:
                is_forget_gate = isinstance(layer, nn.LSTM) and position == 1
                nn.init.constant_(gate, float(is_forget_gate and name == "bias_ih_l0"))
