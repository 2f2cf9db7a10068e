"""A frame store becomes batches: `PhonemeDataModule` is the way in."""

from phoneme_lightning.data.module import PhonemeDataModule

__all__ = ["PhonemeDataModule"]
