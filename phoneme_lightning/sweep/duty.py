"""Who looks after a round's workers: one of them, for as long as it lives.

A look reads every running trial. Were each worker to look, what that costs would grow as the square
of their number.
"""

import fcntl
import os
import time
import weakref
from contextlib import suppress
from pathlib import Path

__all__ = ["Duty"]


class Duty:
    """Whether it is this process's turn to look for dead workers.

    Whoever holds a lock looks, and leaves a trace on it. Where the trace grows old all others look
    too, now and then: he may be frozen, or cut off from the storage, or dead on a machine whose
    locks nobody frees, and some disks know no locks.

    Args:
        folder: of the lock; the same for all workers.
        seconds: between two looks.
        relief_seconds: between two looks of those who are not on duty, if they must.
    """

    def __init__(self, folder: Path, seconds: float, relief_seconds: float) -> None:
        self._path = folder / "duty.lock"
        self._seconds, self._relief_seconds = seconds, relief_seconds
        self._file: int | None = None
        self._is_mine = False
        self._trace = 0  # when the file changed, by the clock of its disk
        self._ask_at, self._seen_at = 0.0, time.monotonic()

    def is_due(self) -> bool:
        """Say whether to look now; then the next look is counted from now."""
        now = time.monotonic()
        if now < self._ask_at:
            return False
        self._ask_at = now + self._seconds
        try:
            self._is_mine = self._is_on_duty()
            if self._is_mine:
                return True
            trace = os.stat(self._path).st_mtime_ns
        except OSError:
            trace = self._trace
        if trace != self._trace:
            self._trace, self._seen_at = trace, now
        if now - self._seen_at < self._relief_seconds:
            return False
        self._seen_at = now
        return True

    def looked(self) -> None:
        """Leave a trace of a look that went well."""
        if self._is_mine and self._file is not None:
            with suppress(OSError):
                os.utime(self._file)

    def _is_on_duty(self) -> bool:
        if self._file is None:
            self._path.parent.mkdir(exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            weakref.finalize(self, os.close, self._file)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
