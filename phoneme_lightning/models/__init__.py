"""Backbones: networks from features to one vector a frame, one a file."""

from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.rnn import RNN

__all__ = ["RNN", "Backbone"]
