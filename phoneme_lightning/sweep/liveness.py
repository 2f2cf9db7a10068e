"""Whether a worker lives: its trials' beats go on, and on this machine it holds a lock."""

import fcntl
import platform
import time
import uuid
from collections.abc import Hashable
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
        self._file = (folder / f"{self.worker}.lock").open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)


class Watch:
    """Watch the beats of running trials.

    A beat is a counter: machines' clocks differ, so its age is the time for which this process has
    seen it stand still.

    Args:
        folder: of the workers' locks.
        grace_seconds: for how long a beat may stand still.
    """

    def __init__(self, folder: Path, grace_seconds: float) -> None:
        self._folder, self._grace_seconds = folder, grace_seconds
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
        return now - self._seen[trial][1] > self._grace_seconds or self._is_dead(worker)

    def _is_dead(self, worker: str | None) -> bool:
        """Say whether a worker is dead for certain; of another machine's nothing is known."""
        if worker is None or worker.split(":")[0] != platform.node():
            return False
        try:
            with (self._folder / f"{worker}.lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # it is held, or not there
            return False
        return True
