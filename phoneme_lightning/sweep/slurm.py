"""SLURM's queue, and a round's workers in it: the jobs of an array, submitted in its folder.

A job's working directory says which round it works for, so the queue itself knows who does, and
no note of it can be wrong.
"""

import math
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder, check_proof
from phoneme_lightning.sweep.round import Round

__all__ = [
    "LOGS",
    "SlurmWorker",
    "begin_work",
    "cancel_workers",
    "describe_queue",
    "describe_workers",
    "list_workers",
    "queue_again",
    "submit_workers",
    "trials_a_worker",
]

LOGS = "slurm"
"""Folder of the workers' logs, in the round's."""

TEMPLATE = "worker.sbatch"
FIELDS = ("JobArrayID", "State", "NodeList", "exit_code", "Reason", "WorkDir")
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
}
TOO_MUCH = {"BadConstraints", "PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit"}
"""Reasons to wait for what will not come, unless somebody changes the job or the cluster."""

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class SlurmWorker:
    """A job of a round's array."""

    job: str
    """Its id, such as 12_3."""

    state: str
    """As SLURM writes it: PENDING, RUNNING, COMPLETED and so on."""

    node: str
    """Where it runs, or ran; empty before."""

    status: str
    """How it ended, as `wait` gives it."""

    reason: str
    """Why it waits, in a word of SLURM's."""

    @property
    def array(self) -> str:
        """The array's id."""
        return self.job.split("_")[0]

    @property
    def is_held(self) -> bool:
        """Whether it waits until somebody releases it."""
        return self.state == "SPECIAL_EXIT" or (
            self.state == "PENDING" and "held" in self.reason.lower()
        )

    @property
    def asks_too_much(self) -> bool:
        """Whether it waits for what its partition does not have."""
        return self.state == "PENDING" and self.reason in TOO_MUCH

    @property
    def is_live(self) -> bool:
        """Whether it runs or will."""
        return self.state not in ENDED

    @property
    def has_failed(self) -> bool:
        """Whether it ended otherwise than it should; who cancels one knows it."""
        return self.state in ENDED - {"COMPLETED", "CANCELLED", "PREEMPTED"}

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        return self.state == "CANCELLED"


def _ask(*words: str) -> str:
    """Run one of SLURM's commands; give what it prints.

    Raises:
        InputError: it is not there, or it refuses.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    except FileNotFoundError as error:
        raise InputError(
            f"executor.kind is slurm, but there is no {words[0]} here: start it where jobs are "
            "submitted, or give --executor auto"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{words[0]} does not answer: see whether `sinfo` does, and try again"
        ) from error
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        raise InputError(f"{words[0]} refuses: {' '.join(said.split())}")
    return done.stdout


def _job_name(folder: RoundFolder) -> str:
    return f"phoneme-{folder.path.resolve().name}"


def list_workers(folder: RoundFolder) -> list[SlurmWorker]:
    """List a round's workers in the queue, with those that ended in the last minutes.

    Raises:
        InputError: SLURM does not answer.
    """
    fields = ",".join(f"{field}:|" for field in FIELDS)
    lines = _ask(
        *("squeue", "--noheader", "--array", "--states=all", f"--name={_job_name(folder)}"),
        f"--Format={fields}",
    ).splitlines()
    here = str(folder.path.resolve())
    rows = [[word.strip() for word in line.split("|")][: len(FIELDS)] for line in lines]
    return [SlurmWorker(*row[:-1]) for row in rows if row[-1] == here]


def trials_a_worker(round: Round) -> int:
    """Give how many trials a worker runs at once: one a GPU, else as many as its cores hold."""
    budget, executor = round.budget, round.executor
    if budget.parallel != "auto":
        return budget.parallel
    return executor.gpus or max(1, (executor.cpus or 0) // budget.threads)


def submit_workers(
    folder: RoundFolder, round: Round, count: int, until: float | None = None
) -> str:
    """Submit an array of workers.

    Args:
        folder: of the round, on a disk that every node sees.
        round: what it is.
        count: of workers.
        until: when they begin no further trial, in seconds since 1970.

    Returns:
        The array's id.

    Raises:
        InputError: SLURM refuses them, or there is no such template.
    """
    here, executor, at_once = folder.path.resolve(), round.executor, trials_a_worker(round)
    script = here / TEMPLATE
    if not script.exists():
        source = Path(executor.template or Path(__file__).with_name(TEMPLATE))
        if not source.is_file():
            raise InputError(f"executor.template is {executor.template!r}: there is no such file")
        shutil.copyfile(source, script)
    (here / LOGS).mkdir(exist_ok=True)
    asked = {
        "job-name": _job_name(folder),
        "chdir": here,
        "output": here / LOGS / "%A_%a.log",
        "array": f"1-{count}",
        "nodes": 1,
        "ntasks": 1,
        "cpus-per-task": executor.cpus or round.budget.threads * at_once,
        "time": math.ceil(executor.time / 60),
    }
    if executor.partition:
        asked["partition"] = executor.partition
    if executor.gpus:
        asked["gres"] = f"gpu:{executor.gpus}"
    options = [f"--{name}={value}" for name, value in asked.items()]
    worker = [str(Path(sys.executable).with_name("phoneme-sweep")), "worker", str(here)]
    # The round's own storage may not be the one that `run` was given.
    worker += ["--parallel", str(at_once), "--storage", round.storage.url, "--proof", _prove(here)]
    if until is not None:
        worker += ["--until", f"{until:.0f}"]
    try:
        told = _ask("sbatch", "--parsable", *options, *executor.options, str(script), *worker)
    except InputError as error:
        raise InputError(
            f"{error} (what it is asked for stands in executor.partition, gpus, cpus, time and "
            "options; `sinfo` shows what there is)"
        ) from error
    return told.strip().split(";")[0]


def _prove(here: Path) -> str:
    """Leave a file in the round's folder by which a worker knows that it is this one, no copy."""
    proof = f"{LOGS}/proof-{uuid.uuid4().hex[:12]}"
    (here / proof).touch()
    return proof


def cancel_workers(folder: RoundFolder, *, only_waiting: bool = False) -> int:
    """Cancel a round's workers: one that runs stops its trials, which can go on later.

    Args:
        folder: of the round.
        only_waiting: leave those that run.

    Returns:
        How many it cancels.

    Raises:
        InputError: SLURM does not answer, or it refuses.
    """
    live = [worker for worker in list_workers(folder) if worker.is_live]
    waiting = [worker for worker in live if worker.state == "PENDING" or worker.is_held]
    chosen = waiting if only_waiting else live
    if chosen:
        _ask("scancel", *(worker.job for worker in chosen))
    return len(chosen)


def describe_workers(workers: Iterable[SlurmWorker]) -> str:
    """Say in a line how a round's workers stand in the queue."""
    live = [worker for worker in workers if worker.is_live]
    if not live:
        return "no workers in SLURM's queue"
    states = Counter(
        f"waiting ({worker.reason})" if worker.state == "PENDING" else worker.state.lower()
        for worker in live
    )
    nodes = sorted({worker.node for worker in live if worker.node})
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"workers in SLURM's queue: {told}" + (f", on {' '.join(nodes)}" if nodes else "")


def describe_queue(folder: RoundFolder) -> list[str]:
    """Say in a line how a round's workers stand, or why that is unknown; none were there ever."""
    if not (folder.path / LOGS).is_dir():
        return []
    try:
        return [describe_workers(list_workers(folder))]
    except InputError as error:
        return [str(error)]


def begin_work(folder: Path, proof: str | None) -> None:
    """Begin a worker: at SIGUSR1 it goes back into the queue at once, until it has trials to stop.

    Args:
        folder: of the round, as the worker was given it.
        proof: as for `check_proof`; None where nobody gave one.

    Raises:
        InputError: it is not the folder that others see.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        queue_again()
        sys.exit(0)

    signal.signal(signal.SIGUSR1, leave)
    if proof:
        check_proof(folder, proof)


def queue_again() -> None:
    """Put the job in which this process runs back into the queue; outside of SLURM do nothing.

    SLURM ends this process then.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    try:
        _ask("scontrol", "requeue", job)
    except InputError as error:
        print(f"job {job} ends here for good: {error}")
