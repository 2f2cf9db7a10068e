"""Backbones: networks from features to one vector a frame, one a file."""

from typing import TYPE_CHECKING, Any

from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.cnn import CNN
from phoneme_lightning.models.conformer import Conformer
from phoneme_lightning.models.rnn import RNN
from phoneme_lightning.models.transformer import Transformer

if TYPE_CHECKING:
    from phoneme_lightning.models.crnn import CRNN

__all__ = ["CNN", "CRNN", "RNN", "Backbone", "Conformer", "Transformer"]


def __getattr__(name: str) -> Any:
    # Only the CRNN needs torchvision, which takes a second to import.
    if name == "CRNN":
        from phoneme_lightning.models.crnn import CRNN

        return CRNN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
