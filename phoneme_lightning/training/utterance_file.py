"""How a fit's best weights did on each utterance of validation, as a file, for a bootstrap."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["UTTERANCES", "read_utterances", "write_utterances"]

UTTERANCES = "utterances-validation.csv"
HEADER = ["utterance", "frames", "correct"]


def write_utterances(folder: Path, counts: Iterable[tuple[str, int, int]]) -> None:
    """Write the counts, so that the file is either whole or not there.

    Args:
        folder: the run's.
        counts: of each utterance its name, its labelled frames, and how many of them are right.
    """
    partial = folder / f"{UTTERANCES}.partial"
    with partial.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(HEADER)
        rows.writerows(counts)
    partial.replace(folder / UTTERANCES)


def read_utterances(folder: Path) -> Mapping[str, tuple[int, int]] | None:
    """Read how a run's best weights did on each utterance of validation.

    Args:
        folder: the run's.

    Returns:
        Name of the utterance -> its labelled frames, and how many of them are right; None where
        the file is not there, or is another.
    """
    try:
        with (folder / UTTERANCES).open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        counts = {name: (int(frames), int(correct)) for name, frames, correct in rows}
    except (OSError, ValueError):
        return None
    return counts if header == HEADER and counts else None
