"""Bidirectional recurrent layers as ONNX's own operators, which know how long utterances are."""

import torch
from torch import Tensor, nn

from phoneme_lightning.models.recurrent import BidirectionalRNN

__all__ = ["OnnxRecurrent", "use_onnx_recurrence"]

GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""ONNX's order of the gates (i o f c; z r h) in the numbers of PyTorch's (i f g o; r z n)."""


class OnnxRecurrent(nn.Module):
    """Layers of a `BidirectionalRNN` for an ONNX graph alone: it cannot be run in PyTorch.

    PyTorch's exporter unrolls recurrent layers over the frames of its example. ONNX's operators
    take any number of them, and reverse each utterance within its own length.

    Args:
        layers: those whose weights to take.
    """

    def __init__(self, layers: BidirectionalRNN) -> None:
        super().__init__()
        self.operator = "LSTM" if isinstance(layers.forward_layers[0], nn.LSTM) else "GRU"
        # The GRU of PyTorch and cuDNN.
        self.variant = {"linear_before_reset": 1} if self.operator == "GRU" else {}
        self.hidden_size = layers.output_dim // 2
        pairs = zip(layers.forward_layers, layers.backward_layers, strict=True)
        self.weights = nn.ModuleList(
            nn.ParameterList(self._weights(onward, backward)) for onward, backward in pairs
        )

    def _weights(self, *directions: nn.Module) -> list[Tensor]:
        """Give ONNX's W, R and B of a layer: (2, gates * hidden, ...), both directions."""

        def ordered(name: str) -> Tensor:
            both = []
            for layer in directions:
                gates = layer.get_parameter(name).detach().chunk(len(GATES[self.operator]))
                both.append(torch.cat([gates[gate] for gate in GATES[self.operator]]))
            return torch.stack(both)

        biases = torch.cat((ordered("bias_ih_l0"), ordered("bias_hh_l0")), dim=1)
        return [ordered("weight_ih_l0"), ordered("weight_hh_l0"), biases]

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Put the layers into the graph; for shapes see `BidirectionalRNN`."""
        batch, frames, _ = inputs.shape
        hidden = inputs.transpose(0, 1)
        for weights in self.weights:
            outputs = torch.onnx.ops.symbolic(
                self.operator,
                (hidden, *weights.parameters(), lengths.int()),
                {"direction": "bidirectional", "hidden_size": self.hidden_size, **self.variant},
                dtype=torch.float32,
                shape=(frames, 2, batch, self.hidden_size),
            )
            hidden = outputs.transpose(1, 2).flatten(2)
        return hidden.transpose(0, 1)


def use_onnx_recurrence(module: nn.Module) -> None:
    """Put an `OnnxRecurrent` in place of every `BidirectionalRNN` inside a module."""
    for name, layers in list(module.named_modules()):
        if isinstance(layers, BidirectionalRNN):
            module.set_submodule(name, OnnxRecurrent(layers))
