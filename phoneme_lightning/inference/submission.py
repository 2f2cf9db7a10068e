"""The competition's prediction.csv: a line for each test frame."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from phoneme_lightning.errors import InputError

__all__ = ["read_submission", "write_submission"]

_HEADER = "Id,Class"


def write_submission(
    path: str | Path, predictions: Iterable[np.ndarray], expected_frames: int
) -> None:
    """Write predictions as the competition wants them, or leave what stood there before.

    The file appears whole: it is written beside its place, counted, then renamed.

    Args:
        path: where the file shall stand; its folder is made if need be.
        predictions: (frames,), int, each utterance's classes without padding, in the order of
            test_split.txt. Frames are numbered through all of them from 0.
        expected_frames: how many frames the test split has.

    Raises:
        ValueError: the predictions are not one class for each of `expected_frames` frames.
    """
    path = Path(path)
    classes = np.concatenate([np.asarray(x) for x in predictions])
    if classes.shape != (expected_frames,) or classes.dtype.kind not in "iu":
        raise ValueError(
            f"predictions are {classes.dtype} of shape {classes.shape}, "
            f"but the split has {expected_frames} frames, each with one int"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{frame},{phone}\n" for frame, phone in enumerate(classes.tolist()))
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as file:
            file.write(f"{_HEADER}\n")
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def read_submission(path: str | Path) -> np.ndarray:
    """Read a prediction file.

    Args:
        path: a file with the header `Id,Class` and Ids that run from 0.

    Returns:
        (frames,), int64, the classes.

    Raises:
        InputError: the file is missing or is not such a file.
    """
    path = Path(path)
    try:
        with path.open(encoding="ascii") as file:
            header = file.readline().rstrip("\r\n")
            if header != _HEADER:
                raise InputError(f"{path} begins with {header!r}, not with {_HEADER}")
            rows = np.loadtxt(file, dtype=np.int64, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a prediction file: {error}") from error
    if rows.size == 0 or not np.array_equal(rows[:, 0], np.arange(len(rows))):
        raise InputError(f"{path}: the Ids must run from 0, one a frame: write the file anew")
    classes: np.ndarray = rows[:, 1]
    return classes
