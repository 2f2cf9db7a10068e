"""What became of a fit: one small file, written whole as its last act, or not at all."""

import json
import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from phoneme_lightning.errors import InputError

__all__ = [
    "Infeasible",
    "Outcome",
    "check_steps",
    "forget_outcome",
    "lost_others",
    "read_outcome",
    "record_failure",
    "write_outcome",
]

FILE = "outcome.json"

# PyTorch's allocators raise a plain RuntimeError on a CPU, a subclass of it on a device.
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|CUBLAS_STATUS_ALLOC_FAILED")


class Infeasible(InputError):
    """The setting of a fit does not work: the fit is over, and to repeat it is no use.

    Args:
        cause: one word: nan, diverged, chance, memory.
        message: names the key, the value and the fix.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Outcome:
    """What became of a fit.

    Attributes:
        state: completed (it came to its end, or was asked to stop); infeasible (its setting does
            not work); failed (a bug, or a value that a library refuses).
        cause: of infeasible, one word: nan, diverged, chance, memory.
        message: one line on an end that was not good.
        traceback: of failed.
        stopped_early: "asked", where a file named `stop` ended it.
        step: optimizer steps made, over all resumptions.
        seconds: this process took for it, from parsing to the last picture.
        parameters: numbers that are trained.
    """

    state: Literal["completed", "infeasible", "failed"]
    cause: str | None = None
    message: str = ""
    traceback: str | None = None
    stopped_early: Literal["asked"] | None = None
    step: int = 0
    seconds: float = 0.0
    parameters: int = 0


def write_outcome(folder: str | Path, outcome: Outcome) -> None:
    """Write <folder>/outcome.json so that it is either whole or not there, whenever power fails."""
    file = Path(folder) / FILE
    partial = file.with_suffix(f".{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(outcome), indent=2) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def read_outcome(folder: str | Path) -> Outcome | None:
    """Give what became of the fit in a folder; None where it is not over, or was cut off."""
    try:
        return Outcome(**json.loads((Path(folder) / FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def forget_outcome(folder: str | Path) -> None:
    """Remove the outcome of an earlier fit, since a new one begins in its folder."""
    (Path(folder) / FILE).unlink(missing_ok=True)


def lost_others(error: BaseException) -> bool:
    """Tell whether an error only says that another rank of the fit, or the way to it, is gone."""
    kinds = {kind.__name__ for kind in type(error).__mro__}  # without loading PyTorch for it
    return "DistError" in kinds or ("RuntimeError" in kinds and "gloo/transport" in str(error))


def _write_first(folder: Path, outcome: Outcome) -> None:
    """Write an outcome, unless another rank that failed has written its own."""
    if read_outcome(folder) is None:
        write_outcome(folder, outcome)


def _one_line(error: BaseException) -> str:
    mine = isinstance(error, InputError)
    line = str(error) if mine else traceback.format_exception_only(error)[-1]
    return " ".join(line.split())


@contextmanager
def record_failure(folder: Path, facts: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Write an outcome where what runs inside goes wrong, and let the error go on.

    None is written for what is not the fit's own doing: a signal, Ctrl-C, and an OSError (a full
    disk, a file system that goes away), which are the machine's, so that the fit counts as
    interrupted. Nor is one for a rank that only saw another go: that one has written why, or
    was killed.

    Args:
        folder: the run's folder.
        facts: gives the fields of the outcome that do not follow from the error.

    Raises:
        Infeasible: memory was not enough, whichever way a library says so.
    """
    try:
        yield
    except Exception as error:
        of_machine = isinstance(error, OSError) or isinstance(error.__cause__, OSError)
        if of_machine or lost_others(error):
            raise
        if isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error))
        ):
            message = (
                f"memory is not enough for this fit: lower data.frames_per_batch, or take a "
                f"smaller model ({_one_line(error)})"
            )
            _write_first(folder, Outcome("infeasible", "memory", message, **facts()))
            raise Infeasible("memory", message) from error
        if isinstance(error, Infeasible):
            outcome = Outcome("infeasible", error.cause, _one_line(error), **facts())
        else:
            text = "".join(traceback.format_exception(error))
            outcome = Outcome("failed", None, _one_line(error), text, **facts())
        _write_first(folder, outcome)
        raise


def check_steps(checkpoint: str, step: int, max_steps: int, known: Path | None) -> None:
    """Refuse to resume a fit that is over.

    Args:
        checkpoint: from which it shall go on.
        step: where that stands.
        max_steps: where the fit ends; -1: nowhere.
        known: the folder of the checkpoint's run, where the fit goes on in it.

    Raises:
        InputError: no step is left.
    """
    # One that was cut off after its last step has still to be wound up.
    to_wind_up = step == max_steps and known and not read_outcome(known)
    if 0 < max_steps <= step and not to_wind_up:
        raise InputError(
            f"{checkpoint} is at step {step}, where this fit ends: "
            f"to train on give trainer.max_steps above {step}"
        )
