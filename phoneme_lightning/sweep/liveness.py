"""Whether a worker lives: its trials' beats go on, and on this machine it holds a lock."""

import fcntl
import os
import platform
import time
import uuid
import weakref
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path

__all__ = ["Alive", "Watch"]


class Alive:
    """Be alive for as long as this object, or this process, exists.

    Args:
        folder: of the locks; the same for all workers.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.worker = f"{platform.node()}:{uuid.uuid4().hex[:12]}"
        """Name of this worker."""
        file = os.open(folder / f"{self.worker}.lock", os.O_WRONLY | os.O_CREAT, 0o644)
        weakref.finalize(self, os.close, file)
        with suppress(OSError):  # a disk that knows no locks: its beats must do
            fcntl.flock(file, fcntl.LOCK_EX)


class Watch:
    """Watch the beats of running trials.

    A beat is a counter: machines' clocks differ, so its age is the time for which this process has
    seen it stand still.

    Args:
        folder: of the workers' locks.
        grace_seconds: for how long a beat may stand still.
        unsigned_seconds: for how long a trial may run without the name of its worker, which is
            put there at once unless the worker dies just then.
    """

    def __init__(self, folder: Path, grace_seconds: float, unsigned_seconds: float) -> None:
        self._folder = folder
        self._grace_seconds, self._unsigned_seconds = grace_seconds, unsigned_seconds
        self._seen: dict[Hashable, tuple[int, float]] = {}  # trial -> its beat, and when it came

    def is_stale(self, trial: Hashable, beat: int, worker: str | None) -> bool:
        """Look at a running trial, and say whether its worker is taken for dead.

        Args:
            trial: what it is known by.
            beat: its counter.
            worker: who runs it, if that is known.
        """
        now = time.monotonic()
        if self._seen.get(trial, (None, now))[0] != beat:
            self._seen[trial] = beat, now
        still_seconds = now - self._seen[trial][1]
        if worker is None:
            return still_seconds > self._unsigned_seconds
        return still_seconds > self._grace_seconds or self._is_dead(worker)

    def _is_dead(self, worker: str) -> bool:
        """Say whether a worker is dead for certain; of another machine's nothing is known."""
        if worker.split(":")[0] != platform.node():
            return False
        try:
            with (self._folder / f"{worker}.lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # it is held, or not there
            return False
        return True
