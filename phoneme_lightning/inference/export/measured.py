"""What the files of a run say of how good a checkpoint is."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phoneme_lightning.inference.confusion_file import read_confusion
from phoneme_lightning.phones import PHONES

__all__ = ["Measured", "measured"]

SCORES = ("frame_accuracy", "macro_f1", "phone_error_rate")


@dataclass(frozen=True, eq=False)
class Measured:
    """How good a checkpoint is, as far as somebody measured it.

    Attributes:
        validation: frame_accuracy, macro_f1 and phone_error_rate, as far as known.
        test: likewise.
        confusion: (scored phones, scored phones), frames of validation, rows true; or None.
        by_phone: scored phone -> share of its test frames that are right, None without frames.
    """

    validation: dict[str, float]
    test: dict[str, float]
    confusion: np.ndarray | None
    by_phone: dict[str, float | None]


def measured(
    run: Path | None, checkpoint: Path, step: int, phones: Sequence[str] = PHONES
) -> Measured:
    """Read what `validate`, `test` and the fit itself left about a checkpoint.

    Args:
        run: the folder of its run; None: it stands in none.
        checkpoint: a .ckpt file.
        step: optimizer steps after which it was saved.
        phones: as which it is scored.
    """
    if run is None:
        return Measured({}, {}, None, {})
    stored = _about(run / "validation.json", checkpoint)
    validation = _scores(stored, "val/") or _scores(_row(run / "metrics.csv", step), "val/")
    test = _about(run / "test.json", checkpoint)
    found = read_confusion(run)
    confusion = found.counts if found and found.phones == tuple(phones) else None
    if confusion is not None:
        # A fit leaves that of its last validation, which need not be this checkpoint's.
        accuracy = np.trace(confusion) / max(1, confusion.sum())
        if abs(accuracy - validation.get("frame_accuracy", -1.0)) > 1e-6:
            confusion = None
    return Measured(validation, _scores(test, ""), confusion, test.get("by_phone", {}))


def _about(file: Path, checkpoint: Path) -> dict[str, Any]:
    """Read a file of scores where it is of this checkpoint, and of its weights as they are now."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        is_older = file.stat().st_mtime < checkpoint.stat().st_mtime
        mine = Path(found["checkpoint"]).name == checkpoint.name
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if mine and not is_older else {}


def _row(file: Path, step: int) -> dict[str, str]:
    """Give the validation of a fit after a step."""
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("val/frame_accuracy")]
    return next((row for row in rows if float(row["step"]) == step), {})


def _scores(found: dict[str, Any], prefix: str) -> dict[str, float]:
    return {name: float(found[prefix + name]) for name in SCORES if prefix + name in found}
