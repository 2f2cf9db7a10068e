"""Backbones: networks from features to one vector a frame, one a file."""

from typing import TYPE_CHECKING, Any

from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.rnn import RNN

if TYPE_CHECKING:
    from phoneme_lightning.models.crnn import CRNN

__all__ = ["CRNN", "RNN", "Backbone"]


def __getattr__(name: str) -> Any:
    # Only the CRNN needs torchvision, which takes a second to import.
    if name == "CRNN":
        from phoneme_lightning.models.crnn import CRNN

        return CRNN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
