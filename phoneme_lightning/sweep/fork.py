"""Trials forked from a process that has everything loaded: a fraction of a second each."""

import atexit
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerProcess

from phoneme_lightning.sweep.launch import PROGRAM, Handle, Job, signal_group
from phoneme_lightning.sweep.trial import die_with, run_program

__all__ = ["ForkLauncher"]

PRELOAD = (
    # The worker's script: each child runs it again, up to its `if __name__ == "__main__"`.
    "phoneme_lightning.sweep.cli",
    # What a fit loads as it goes.
    *(f"phoneme_lightning.models.{name}" for name in ("cnn", "crnn", "rnn", "transformer")),
    "lightning.pytorch.loggers.wandb",
    "matplotlib.backends.backend_agg",
    "wandb.sdk.launch",  # which a run asks whether it is a job
)

PAUSES = (0.01, 0.1, 1.0)
"""Seconds."""


class _Forked:
    """A child of the fork server."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process  # it holds the pipe that the child watches
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode

    def terminate(self) -> None:
        signal_group(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        signal_group(self.pid, signal.SIGKILL)


class ForkLauncher:
    """Forks each trial from a server that has loaded everything and calculated nothing.

    The server warms up in the background from the launcher's making; the first trial waits for
    what is left of it. A process has one server, however many launchers it makes, and the first
    decides what it loads. Where the server dies a new one takes its place.

    Args:
        program: the module whose `main` is run.
        preload: modules that the server loads besides.
    """

    def __init__(self, program: str = PROGRAM, preload: Sequence[str] = PRELOAD) -> None:
        self.program = program
        self._running: list[_Forked] = []
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, program, *preload])
        with _no_interrupt():
            multiprocessing.forkserver.ensure_running()
        atexit.register(self.close)  # before multiprocessing, which would wait for every child

    def launch(self, job: Job) -> Handle:
        """Fork a process."""
        handle = self._fork(replace(job, env=job.environment()))
        self._running = [*(h for h in self._running if h.poll() is None), handle]
        return handle

    def _fork(self, job: Job) -> _Forked:
        for pause in PAUSES:
            process = self._context.Process(target=_trial, args=(job, self.program))
            try:
                with _no_interrupt():
                    process.start()
                return _Forked(process)
            except (EOFError, ConnectionError):
                time.sleep(pause)  # the server is dying; once it is dead a new one is made
        raise OSError("the fork server dies whenever it is started")

    def close(self) -> None:
        """Kill all that still run."""
        for handle in self._running:
            if handle.poll() is None:
                handle.kill()
                handle.wait()


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Let a server that is started here inherit deafness to the terminal's Ctrl-C."""
    resource_tracker.ensure_running()  # its own start unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _trial(job: Job, program: str) -> None:
    """Make of a copy of the fork server what a process of its own would have been."""
    with job.log.open("ab", buffering=0) as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    os.setsid()
    worker = multiprocessing.parent_process()
    assert worker is not None
    die_with(worker.sentinel)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.chdir(job.cwd)
    os.environ.clear()
    os.environ.update(job.env)
    multiprocessing.set_start_method("fork", force=True)
    # What is loaded has read its environment, and every child inherits the same generators.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(job.threads)
        torch.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    try:
        run_program(program, job.argv)
    finally:
        atexit._run_exitfuncs()  # a child of the server leaves without, and W&B ends there
