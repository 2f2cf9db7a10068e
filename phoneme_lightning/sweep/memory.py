"""Whether it was the kernel that killed a process, because memory ran out."""

import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["OomWatch", "oom_counter"]

RECENT_SECONDS = 10.0


def _counters(own: Path, mounts: Path) -> Iterator[Path]:
    """Give the files that may count kills for want of memory, the nearest to this process first."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for number, controllers, group in (line.split(":", 2) for line in lines):
        group = group.lstrip("/")
        if "memory" in controllers.split(","):
            yield mounts / "memory" / group / "memory.oom_control"
        elif number == "0":
            yield mounts / group / "memory.events"
            yield mounts / "unified" / group / "memory.events"
    yield Path("/proc/vmstat")  # of the whole machine


def _count(file: Path) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def oom_counter(
    own: Path = Path("/proc/self/cgroup"), mounts: Path = Path("/sys/fs/cgroup")
) -> Path | None:
    """Find the file in which Linux counts what it kills in this process's cgroup for memory.

    Args:
        own: tells the cgroups of this process.
        mounts: where cgroups are mounted.

    Returns:
        memory.events of a version 2 cgroup, memory.oom_control of version 1, the machine's
        /proc/vmstat where neither counts, None where nothing does.
    """
    return next((file for file in _counters(own, mounts) if _count(file) is not None), None)


class OomWatch:
    """Notes when the kernel last killed for want of memory.

    Args:
        counter: the file in which it counts.
    """

    def __init__(self, counter: Path | None) -> None:
        self.counter = counter
        self._count = self._read()
        self._moved = float("-inf")

    def _read(self) -> int:
        return (self.counter and _count(self.counter)) or 0

    def struck(self) -> bool:
        """Look, which must be done every few seconds; say whether it was within the last 10."""
        count = self._read()
        if count > self._count:
            self._moved = time.monotonic()
        self._count = count
        return time.monotonic() - self._moved < RECENT_SECONDS
