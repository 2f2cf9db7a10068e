"""The voices of the built-in spoken corpus, and which sentences are whose."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

__all__ = ["VOICES", "Voice", "sentences_of"]

_NON_RHOTIC = {"en", "en-029", "en-gb-x-gbclan", "en-gb-x-rp", "en-us-nyc"}


class Voice(NamedTuple):
    """A speaker of the corpus.

    Attributes:
        split: where all that it says belongs.
        accent: one of espeak-ng's English ones.
        variant: one of espeak-ng's voice variants.
        words_per_minute: speed.
        pitch: 0 to 100; 50 is the variant's own.
    """

    split: str
    accent: str
    variant: str
    words_per_minute: int
    pitch: int

    @property
    def name(self) -> str:
        """The voice as espeak-ng is asked for it."""
        return f"{self.accent}+{self.variant}"

    @property
    def rhotic(self) -> bool:
        """Whether the r of "hard" is spoken."""
        return self.accent not in _NON_RHOTIC


VOICES = (
    Voice("train", "en-us", "m1", 165, 50),
    Voice("train", "en-us", "f1", 175, 45),
    Voice("train", "en-us", "m3", 190, 40),
    Voice("train", "en-us", "f2", 150, 55),
    Voice("train", "en-us", "Andy", 180, 60),
    Voice("train", "en-us", "Annie", 160, 35),
    Voice("train", "en-us-nyc", "m5", 185, 55),
    Voice("train", "en-us-nyc", "f5", 170, 40),
    Voice("train", "en", "m2", 155, 45),
    Voice("train", "en", "belinda", 180, 50),
    Voice("train", "en-gb-x-rp", "m4", 160, 60),
    Voice("train", "en-gb-x-rp", "f4", 170, 50),
    Voice("train", "en-gb-scotland", "Gene", 150, 50),
    Voice("train", "en-gb-scotland", "Alicia", 165, 30),
    Voice("train", "en-gb-x-gbclan", "m6", 175, 35),
    Voice("train", "en-029", "Michael", 155, 65),
    Voice("validation", "en-us", "m7", 170, 55),
    Voice("validation", "en-us-nyc", "grandma", 160, 45),
    Voice("validation", "en", "rob", 180, 60),
    Voice("validation", "en-gb-scotland", "f3", 165, 45),
    Voice("test", "en-us", "linda", 175, 40),
    Voice("test", "en-us", "quincy", 160, 60),
    Voice("test", "en-gb-x-rp", "m8", 165, 50),
    Voice("test", "en-gb-x-gbclan", "steph3", 170, 45),
)


@cache
def sentences_of(split: str) -> tuple[str, ...]:
    """Give the sentences that only this split's voices speak: of six, train has four."""
    sentences = files(__package__).joinpath("sentences.txt").read_text("utf-8").splitlines()
    owners = ("test", "validation", "train", "train", "train", "train")
    return tuple(text for line, text in enumerate(sentences) if owners[line % len(owners)] == split)
