"""The door through which every trial goes: a job becomes a process that dies with its worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from phoneme_lightning.runtime import set_environment

__all__ = [
    "PROGRAM",
    "Handle",
    "Job",
    "Launcher",
    "SubprocessLauncher",
    "make_launcher",
    "signal_group",
]

PROGRAM = "phoneme_lightning.cli"
"""The module whose `main` is phoneme-cli."""


@dataclass(frozen=True)
class Job:
    """What a process is to do."""

    argv: list[str]
    """The command line: phoneme-cli, fit, ..."""

    log: Path
    """File to which all that it prints is appended."""

    cwd: Path
    """Its working directory."""

    threads: int = 1
    """CPU threads that it calculates with."""

    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables besides the worker's own."""

    def environment(self) -> dict[str, str]:
        """Give the whole environment.

        Without what SLURM tells a job: Lightning would take the trial for the whole of it, count
        its tasks as devices, and catch its signals.
        """
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        own = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
        return {**own, **threads, **self.env}


class Handle(Protocol):
    """A process that was started: it leads a session and a process group of its own."""

    @property
    def pid(self) -> int:
        """Its id, which is its group's too."""

    def poll(self) -> int | None:
        """Give its exit code, below 0 the signal that killed it; None while it runs."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end, at most that many seconds, and give what `poll` gives."""

    def terminate(self) -> None:
        """Send SIGTERM to its group."""

    def kill(self) -> None:
        """Send SIGKILL to its group; after its end, to what it left behind."""


class Launcher(Protocol):
    """Starts processes."""

    def launch(self, job: Job) -> Handle:
        """Start one.

        Raises:
            OSError: the machine has no room for it.
        """

    def close(self) -> None:
        """Kill all that still run."""


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a process group; to its leader where it has not founded the group yet."""
    with suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(leader, number)
        except ProcessLookupError:
            os.kill(leader, number)


class _Child:
    """A child of this process."""

    def __init__(self, process: "subprocess.Popen[bytes]", lifeline: int) -> None:
        self._process, self._lifeline = process, lifeline

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        if self._process.returncode is not None and self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        return self._process.returncode

    def terminate(self) -> None:
        signal_group(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        signal_group(self.pid, signal.SIGKILL)


class SubprocessLauncher:
    """Starts each trial as a plain process, as its command line would: the reference.

    It takes seconds to load everything. It watches a pipe whose other end this process holds, as
    PR_SET_PDEATHSIG exists on Linux only and goes by the thread that started it.

    Args:
        program: the module whose `main` is run.
    """

    def __init__(self, program: str = PROGRAM) -> None:
        self.program = program
        self._running: list[Handle] = []

    def launch(self, job: Job) -> Handle:
        """Start a process."""
        sentinel, lifeline = os.pipe()
        inside = [sys.executable, "-P", "-m", "phoneme_lightning.sweep.trial"]
        try:
            with job.log.open("ab") as log:
                process = subprocess.Popen(
                    [*inside, str(sentinel), self.program, *job.argv],
                    cwd=job.cwd,
                    env=job.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[sentinel],
                    start_new_session=True,
                )
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(sentinel)
        handle = _Child(process, lifeline)
        self._running = [*(h for h in self._running if h.poll() is None), handle]
        return handle

    def close(self) -> None:
        """Kill all that still run."""
        for handle in self._running:
            if handle.poll() is None:
                handle.kill()
                handle.wait()


def make_launcher(kind: Literal["fork", "subprocess"], program: str = PROGRAM) -> Launcher:
    """Give a launcher.

    Args:
        kind: how it starts processes.
        program: the module whose `main` is run.
    """
    set_environment()  # what is launched inherits it
    if kind == "subprocess":
        return SubprocessLauncher(program)
    from phoneme_lightning.sweep.fork import ForkLauncher

    return ForkLauncher(program)
