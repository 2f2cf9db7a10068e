"""espeak-ng's phoneme mnemonics as our phones, and its events as one label a frame.

Mnemonics are those of espeak-ng 1.52's English accents; what they sound like is in its sources,
phsource/ph_english*.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phoneme_lightning.corpora.espeak import Event
from phoneme_lightning.phones import PHONES

__all__ = ["Segments", "find_segments", "to_phones"]

_STRESS_MARKS = "',"
_CONTINUED = ";"
"""A glide between two vowels: the phone before it goes on."""
_FIRST_SHARE = 0.55
"""Of a mnemonic that is two phones, the share of the time that the first has."""

_MNEMONICS = {
    "AA": "0 A:",
    "AE": "a aa",
    "AH": "V @ @- @2 @5 a#",
    "AO": "O: O2",
    "EH": "E",
    "IH": "I I2 I#",
    "IY": "i i:",
    "UH": "U",
    "UW": "u:",
    "ER": "3 3: IR VR",
    "EY": "eI",
    "OW": "oU",
    "OY": "OI",
    "AW": "aU",
    "AY": "aI aI2",
    "R": "r r-",
    "W": "w w#",
    "Y": "j",
    "HH": "h",
    "NG": "N",
    "SH": "S",
    "ZH": "Z",
    "CH": "tS",
    "JH": "dZ",
    "TH": "T t[",
    "DH": "D",
    "T": "t t2 t# ?",
    "B": "b",
    "D": "d",
    "F": "f",
    "G": "g",
    "K": "k",
    "L": "l",
    "M": "m",
    "N": "n",
    "P": "p",
    "S": "s",
    "V": "v",
    "Z": "z",
    "SIL": "_ _: _!",
    "AA R": "A@",
    "AO R": "O@ o@",
    "EH R": "e@",
    "UH R": "U@",
    "IH R": "i@3",
    "AY ER": "aI3 aI@3",
    "AY AH": "aI@",
    "IY AH": "i@",
    "AH L": "@L",
    "AH N": "n-",
}
"""Phones -> the mnemonics that sound like them."""

_RHOTIC = {
    mnemonic: tuple(phones.split())
    for phones, mnemonics in _MNEMONICS.items()
    for mnemonic in mnemonics.split()
}
# Where r is silent, a mnemonic that ends in R is its vowel alone, and "3" is a schwa.
_NON_RHOTIC = {
    **{
        mnemonic: phones[:1] if phones[1:] == ("R",) else phones
        for mnemonic, phones in _RHOTIC.items()
    },
    "3": ("AH",),
}


def to_phones(mnemonic: str, *, rhotic: bool) -> tuple[str, ...]:
    """Name what is heard of a mnemonic.

    Args:
        mnemonic: as espeak-ng's events give it, without stress marks.
        rhotic: whether the accent speaks the r of "hard".

    Returns:
        One or two of PHONES.

    Raises:
        ValueError: the mnemonic is unknown.
    """
    table = _RHOTIC if rhotic else _NON_RHOTIC
    if mnemonic not in table:
        raise ValueError(f"espeak-ng's mnemonic {mnemonic!r} is not in the table: add it")
    return table[mnemonic]


class Segments(NamedTuple):
    """The phones of an utterance, without gaps: each lasts until the next, the last to the end.

    Attributes:
        starts: (segments,), float64, in samples; the first is 0.
        classes: (segments,), int8, positions in PHONES.
    """

    starts: np.ndarray
    classes: np.ndarray

    def at(self, samples: np.ndarray) -> np.ndarray:
        """Give the class at each of these samples, any shape, int8."""
        classes: np.ndarray = self.classes[np.searchsorted(self.starts, samples, side="right") - 1]
        return classes


def find_segments(events: Sequence[Event], samples: int, *, rhotic: bool) -> Segments:
    """Make segments of what espeak-ng spoke; before the first event there is silence.

    Args:
        events: of one utterance, in order. One that has no length (pauses, mostly) is left out.
        samples: length of the utterance.
        rhotic: whether the accent speaks the r of "hard".

    Raises:
        ValueError: a mnemonic is unknown.
    """
    segments = [(0.0, "SIL")]
    ends = [event.sample for event in events[1:]] + [samples]
    for (mnemonic, start), end in zip(events, ends, strict=True):
        name = mnemonic.strip(_STRESS_MARKS)
        if end <= start or name == _CONTINUED:
            continue
        first, *second = to_phones(name, rhotic=rhotic)
        segments.append((start, first))
        segments += [(start + _FIRST_SHARE * (end - start), phone) for phone in second]
    starts, names = zip(*segments, strict=True)
    return Segments(np.array(starts, float), np.array([PHONES.index(x) for x in names], np.int8))
