"""A bidirectional LSTM or GRU over the features, or over a few convolutions of them."""

from typing import Literal

from torch import Tensor, nn

from phoneme_lightning.errors import InputError
from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.cnn import residual_blocks
from phoneme_lightning.models.recurrent import BidirectionalRNN

__all__ = ["RNN"]

KERNEL_SIZE = 5


class RNN(Backbone):
    """Bidirectional recurrent layers, as in Graves and Schmidhuber (2005).

    Receptive field: the whole utterance. Latency: the whole utterance.

    Args:
        num_features: coefficients a frame.
        cell: kind of recurrent cell, lstm or gru.
        hidden_size: units of one direction of one layer; the output has twice as many.
        num_layers: bidirectional layers.
        dropout: share of each layer's outputs dropped in training, the last layer's too, and of
            the convolutions' activations.
        projection: size of a linear map of the features before the first layer; none by default.
        convolutions: residual blocks of a convolution over 5 frames each, as in the CNN, between
            that map and the first layer. They need the map: where `projection` names no size, it
            is hidden_size.

    Raises:
        InputError: convolutions is negative.
    """

    def __init__(
        self,
        num_features: int = 39,
        cell: Literal["lstm", "gru"] = "lstm",
        hidden_size: int = 512,
        num_layers: int = 2,
        dropout: float = 0.3,
        projection: int | None = None,
        convolutions: int = 0,
    ) -> None:
        super().__init__(num_features, output_dim=2 * hidden_size)
        if convolutions < 0:
            raise InputError(
                f"model.backbone.init_args.convolutions is {convolutions}: give 0 (none) or more"
            )
        if convolutions and projection is None:
            projection = hidden_size
        self.projection = (
            nn.Identity() if projection is None else nn.Linear(num_features, projection)
        )
        size = projection or num_features
        self.convolutions = residual_blocks(size, KERNEL_SIZE, [1] * convolutions, dropout)
        self.recurrent = BidirectionalRNN(size, hidden_size, num_layers, cell, dropout)

    def encode(self, features: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Encode features whose padding is zero; see `Backbone.encode`."""
        hidden = self.projection(features)
        for block in self.convolutions:
            hidden = block(hidden, mask[..., None])
        encoded: Tensor = self.recurrent(hidden, lengths)
        return encoded
