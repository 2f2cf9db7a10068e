"""What a fit confused at its last validation, as a file, for reports that come later."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from phoneme_lightning.phones import PHONES

__all__ = ["read_confusion", "write_confusion"]

FILE = "confusion-validation.csv"


def write_confusion(folder: Path, counts: np.ndarray, phones: Sequence[str] = PHONES) -> None:
    """Write a confusion matrix.

    Args:
        folder: the run's.
        counts: (classes, classes), frames, rows true, columns predicted.
        phones: the names of the classes; where they are not ours, the first line tells them.
    """
    names = "" if tuple(phones) == PHONES else json.dumps(list(phones))
    np.savetxt(folder / FILE, counts, fmt="%d", delimiter=",", header=names, encoding="utf-8")


def read_confusion(folder: Path, phones: Sequence[str] = PHONES) -> np.ndarray | None:
    """Read what a run confused at its last validation.

    Args:
        folder: the run's.
        phones: the names of the classes.

    Returns:
        (classes, classes), frames, rows true, columns predicted; None where it is not there, not
        whole, or of other phones.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
        names = json.loads(lines.pop(0)[1:]) if lines and lines[0][:1] == "#" else list(PHONES)
        counts = np.array([[int(cell) for cell in line.split(",")] for line in lines])
    except (OSError, ValueError):
        return None
    whole = counts.shape == (len(phones), len(phones)) and names == list(phones)
    return counts if whole else None
