"""What a fit confused at its last validation, as a file, for reports that come later."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phoneme_lightning.phones import PHONES

__all__ = ["Confusion", "read_confusion", "write_confusion"]

FILE = "confusion-validation.csv"


@dataclass(frozen=True, eq=False)
class Confusion:
    """Which phones were taken for which.

    Attributes:
        counts: (classes, classes), int64, frames, rows true, columns predicted.
        phones: the names of the classes, as which frames were scored.
    """

    counts: np.ndarray
    phones: tuple[str, ...] = PHONES


def write_confusion(folder: Path, counts: np.ndarray, phones: Sequence[str] = PHONES) -> None:
    """Write a confusion matrix.

    Args:
        folder: the run's.
        counts: (classes, classes), frames, rows true, columns predicted.
        phones: the names of the classes; where they are not ours, the first line tells them.
    """
    names = "" if tuple(phones) == PHONES else json.dumps(list(phones))
    np.savetxt(folder / FILE, counts, fmt="%d", delimiter=",", header=names, encoding="utf-8")


def read_confusion(folder: Path) -> Confusion | None:
    """Read what a run confused at its last validation.

    Args:
        folder: the run's.

    Returns:
        The counts and whose they are; None where they are not there, or not whole.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
        names = json.loads(lines.pop(0)[1:]) if lines and lines[0][:1] == "#" else list(PHONES)
        counts = np.array([[int(cell) for cell in line.split(",")] for line in lines])
    except (OSError, ValueError):
        return None
    whole = isinstance(names, list) and counts.shape == (len(names), len(names))
    return Confusion(counts, tuple(names)) if whole else None
