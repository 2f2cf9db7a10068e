"""A ResNet over the utterance as an image, then bidirectional LSTM layers."""

from typing import Literal

from torch import Tensor

from phoneme_lightning.errors import InputError
from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.dropout import Dropout
from phoneme_lightning.models.recurrent import BidirectionalRNN
from phoneme_lightning.models.trunk import ResNetTrunk

__all__ = ["CRNN"]

NUM_BINS = 13


class CRNN(Backbone):
    """torchvision's resnet18 run once over the utterance, then a bidirectional LSTM.

    The image has 13 bins (the cepstra) and, as its channels, the cepstra and their temporal
    deltas. Time keeps its full rate.

    Receptive field: the whole utterance (the trunk alone: 19 frames each side with two blocks in
    each of four stages). Latency: the whole utterance.

    Args:
        num_features: coefficients a frame, 13 for each channel of the image.
        width: channels of the trunk's first stage; every further stage doubles them.
        blocks: residual blocks of each stage of the trunk.
        stem_pool: halve the bins after the stem, which about halves the work.
        norm: the trunk's norm, batch (over real frames) or frame (each frame by itself).
        hidden_size: units of one direction of one recurrent layer; the output has twice as many.
        num_layers: bidirectional recurrent layers.
        dropout: share of each recurrent layer's outputs dropped in training, the last one's too.
        trunk_dropout: share of the trunk's outputs dropped in training.

    Raises:
        InputError: num_features is not a multiple of 13.
    """

    def __init__(
        self,
        num_features: int = 39,
        width: int = 64,
        blocks: tuple[int, int, int, int] = (2, 2, 2, 2),
        stem_pool: bool = False,
        norm: Literal["batch", "frame"] = "batch",
        hidden_size: int = 512,
        num_layers: int = 2,
        dropout: float = 0.3,
        trunk_dropout: float = 0.0,
    ) -> None:
        super().__init__(num_features, output_dim=2 * hidden_size)
        channels, rest = divmod(num_features, NUM_BINS)
        if rest or not channels:
            raise InputError(
                f"model.backbone.init_args.num_features is {num_features}: the CRNN's image needs "
                f"a multiple of {NUM_BINS} (the cepstra, or the cepstra and their deltas)"
            )
        self.trunk = ResNetTrunk(channels, NUM_BINS, width, blocks, stem_pool, norm)
        self.dropout = Dropout(trunk_dropout)
        self.recurrent = BidirectionalRNN(
            self.trunk.output_dim, hidden_size, num_layers, dropout=dropout
        )

    def encode(self, features: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Encode features whose padding is zero; see `Backbone.encode`."""
        batch, frames, _ = features.shape
        image = features.reshape(batch, frames, -1, NUM_BINS).permute(0, 2, 3, 1)
        encoded: Tensor = self.recurrent(self.dropout(self.trunk(image, mask)), lengths)
        return encoded
