"""The 41 classes of libriphone, by their ARPAbet names, in the competition's numbering; TIMIT's."""

from collections.abc import Mapping, Sequence
from functools import cache

__all__ = [
    "IGNORE_LABEL",
    "NUM_PHONES",
    "PHONES",
    "SILENCE",
    "TIMIT_39",
    "TIMIT_48",
    "TIMIT_61",
    "TIMIT_TO_39",
    "TIMIT_TO_48",
    "kin",
    "silence_in",
]

PHONES: tuple[str, ...] = (
    *("SIL", "SPN", "S", "UW", "T", "N", "K", "Y", "Z", "AO", "AY"),
    *("SH", "W", "NG", "EY", "B", "CH", "OY", "JH", "D", "ZH"),
    *("G", "UH", "F", "V", "ER", "AA", "IH", "M", "DH", "L"),
    *("AH", "P", "OW", "AW", "HH", "AE", "R", "TH", "IY", "EH"),
)
"""Class number -> name. SIL is silence, SPN is spoken noise (class 1: it hardly occurs)."""

NUM_PHONES = len(PHONES)

SILENCE = PHONES.index("SIL")

IGNORE_LABEL = -100
"""The label of padding and of frames without a label: no loss, no score."""

TIMIT_61: tuple[str, ...] = (
    *("aa", "ae", "ah", "ao", "aw", "ax", "ax-h", "axr", "ay", "b", "bcl", "ch", "d", "dcl", "dh"),
    *("dx", "eh", "el", "em", "en", "eng", "epi", "er", "ey", "f", "g", "gcl", "h#", "hh", "hv"),
    *("ih", "ix", "iy", "jh", "k", "kcl", "l", "m", "n", "ng", "nx", "ow", "oy", "p", "pau"),
    *("pcl", "q", "r", "s", "sh", "t", "tcl", "th", "uh", "uw", "ux", "v", "w", "y", "z", "zh"),
)
"""The symbols of TIMIT's transcriptions, by name."""

_TO_48 = {
    **{"ax-h": "ax", "axr": "er", "em": "m", "eng": "ng", "hv": "hh", "nx": "n", "ux": "uw"},
    **{"pcl": "cl", "tcl": "cl", "kcl": "cl", "bcl": "vcl", "dcl": "vcl", "gcl": "vcl"},
    **{"h#": "sil", "pau": "sil"},
}
_TO_39 = {
    **{"cl": "sil", "vcl": "sil", "epi": "sil", "el": "l", "en": "n", "zh": "sh", "ao": "aa"},
    **{"ix": "ih", "ax": "ah"},
}

TIMIT_TO_48: Mapping[str, str | None] = {
    symbol: None if symbol == "q" else _TO_48.get(symbol, symbol) for symbol in TIMIT_61
}
"""Symbol -> the phone that is trained (Lee and Hon 1989, "Speaker-independent phone recognition
using hidden Markov models", table 3); None for q, the glottal stop, which they leave out: its
frames have no label."""

TIMIT_48: tuple[str, ...] = tuple(sorted({phone for phone in TIMIT_TO_48.values() if phone}))

TIMIT_TO_39: Mapping[str, str] = {phone: _TO_39.get(phone, phone) for phone in TIMIT_48}
"""One of the 48 -> the phone that is scored: a confusion of two that have become one is none
(there, section III)."""

TIMIT_39: tuple[str, ...] = tuple(sorted(set(TIMIT_TO_39.values())))

_KIN = {
    **{"ax": "AH", "ax-h": "AH", "ix": "IH", "axr": "ER", "ux": "UW", "el": "L", "hv": "HH"},
    **{"em": "M", "en": "N", "eng": "NG", "nx": "N", "dx": "D", "q": "T"},
    **dict.fromkeys(("h#", "pau", "epi", "cl", "vcl"), "SIL"),
    **dict.fromkeys(("bcl", "dcl", "gcl", "pcl", "tcl", "kcl"), "SIL"),
}


@cache
def kin(phone: str) -> str | None:
    """Name the one of PHONES beside which another inventory's phone stands in pictures.

    Args:
        phone: a class, by its name.

    Returns:
        One of PHONES; None where nothing is known of it.
    """
    name = _KIN.get(phone, phone.upper())
    return name if name in PHONES else None


def silence_in(phones: Sequence[str]) -> int | None:
    """Give which class of an inventory is silence: the first that is named so, None if none is."""
    names = ("SIL", "sil", "h#", "SP", "sp", "pau")
    return next((phones.index(name) for name in names if name in phones), None)
