"""Framewise phoneme classification: from a folder of speech to a scored prediction file."""

__version__ = "0.1.0"
