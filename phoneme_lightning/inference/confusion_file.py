"""What a fit confused at its last validation, as a file, for reports that come later."""

from pathlib import Path

import numpy as np

from phoneme_lightning.phones import NUM_PHONES

__all__ = ["read_confusion", "write_confusion"]

FILE = "confusion-validation.csv"


def write_confusion(folder: Path, counts: np.ndarray) -> None:
    """Write a confusion matrix.

    Args:
        folder: the run's.
        counts: (41, 41), frames, rows true, columns predicted, in the numbering of the phones.
    """
    np.savetxt(folder / FILE, counts, fmt="%d", delimiter=",")


def read_confusion(folder: Path) -> np.ndarray | None:
    """Read what a run confused at its last validation.

    Args:
        folder: the run's.

    Returns:
        (41, 41), frames, rows true, columns predicted; None where it is not there, or not whole.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
        counts = np.array([[int(cell) for cell in line.split(",")] for line in lines])
    except (OSError, ValueError):
        return None
    return counts if counts.shape == (NUM_PHONES, NUM_PHONES) else None
