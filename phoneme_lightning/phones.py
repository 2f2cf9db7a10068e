"""The 41 classes of libriphone, by their ARPAbet names, in the competition's numbering."""

__all__ = ["IGNORE_LABEL", "NUM_PHONES", "PHONES", "SILENCE"]

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
