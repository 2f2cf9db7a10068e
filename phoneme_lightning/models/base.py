"""The contract of every backbone: clean the padding, keep the frames, say the output's size."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from phoneme_lightning.batch import frame_mask

__all__ = ["Backbone"]


class Backbone(nn.Module, ABC):
    """A network from features to one vector a frame.

    What every backbone promises: as many frames come out as go in; nothing in the padding, not
    even NaN, changes a real frame, so an utterance alone gives what it gives inside a batch.

    Attributes:
        num_features: coefficients a frame that it takes.
        output_dim: size of the vector a frame that it gives.
    """

    def __init__(self, num_features: int, output_dim: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.output_dim = output_dim

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Encode padded utterances.

        Args:
            features: (batch, frames, num_features), float.
            lengths: real frames of each utterance, (batch,), int64, each at least 1.

        Returns:
            (batch, frames, output_dim); what stands in padding means nothing.
        """
        mask = frame_mask(lengths, features.shape[1])
        return self.encode(features.where(mask[..., None], 0.0), lengths, mask)

    @abstractmethod
    def encode(self, features: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Encode features whose padding is zero; mask is (batch, frames), True where real."""
