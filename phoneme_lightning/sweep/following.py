"""Follows a round whose trials SLURM's workers run: submits them, and tells what they do.

All that counts is in the round's folder, its storage and SLURM's queue: who follows may leave at
any time, and another may take over or follow beside it.
"""

import os
import shutil
import time
from contextlib import suppress

from filelock import FileLock

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.attempt import last_lines
from phoneme_lightning.sweep.design import read_design
from phoneme_lightning.sweep.disk import shortage
from phoneme_lightning.sweep.driver import TIME_IS_OVER
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.records import OPEN, read_record
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.screen import Screen
from phoneme_lightning.sweep.slurm import (
    LOGS,
    SlurmWorker,
    cancel_workers,
    describe_workers,
    list_workers,
    submit_workers,
    trials_a_worker,
)
from phoneme_lightning.sweep.storage import STORAGE_ERRORS
from phoneme_lightning.sweep.storage_patient import say_fault

__all__ = ["Follower"]

LOOK_SECONDS = 2.0
QUEUE_SECONDS = 5.0
"""SLURM's controller serves all users of a cluster."""

FULL_BYTES = 2**20


class Follower:
    """Has workers in SLURM run what is left of a round.

    Args:
        folder: of the round.
        round: what it is.
        ledger: its queue, filled.
        screen: what the person sees.
    """

    def __init__(self, folder: RoundFolder, round: Round, ledger: Ledger, screen: Screen) -> None:
        self.folder, self.round, self.ledger, self.screen = folder, round, ledger, screen
        self._rows = {row.trial: row for row in read_design(folder.design)}
        self._ended = self._ended_trials(ledger.states())
        self._ended_before: int | None = None  # when workers were last submitted
        self._arrays: set[str] = set()  # that it follows
        self._told: set[str] = set()  # workers of which something was said
        self._queue = describe_workers([])
        self._fault = ""  # the last that was said
        self._queue_at = 0.0
        self._has_answered = False  # SLURM
        limit = round.budget.total_time
        self._until = None if limit is None else time.time() + limit

    def run(self) -> str:
        """Follow until every trial has ended.

        Returns:
            Why it ends before; empty where it does not.
        """
        try:
            while True:
                try:
                    why = self._turn()
                    if why is not None:
                        return why
                except STORAGE_ERRORS as error:
                    fault = f"the storage does not answer ({say_fault(error)}): it is asked again"
                    self._complain(self._full_disk() or fault)
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            return (
                "stopped following; the workers go on, unless you end them: phoneme-sweep cancel "
                f"{self.folder.path} --workers"
            )

    def _complain(self, fault: str) -> None:
        """Say what the round waits for, once for as long as it does; "" for nothing."""
        if fault and fault != self._fault:
            self.screen.say(fault)
        self._fault = fault

    def _full_disk(self) -> str:
        """Say so where workers cannot even write to their journal, which they do not leave for."""
        is_full = shutil.disk_usage(self.folder.path).free < FULL_BYTES
        return f"the disk of {self.folder.path} is full: workers wait for room" if is_full else ""

    def _turn(self) -> str | None:
        """Look once; give why to end, empty where all is done, None to go on."""
        now = time.monotonic()
        states = self.ledger.states()
        self._tell(states)
        left = max(len(self._rows), self.screen.watch.planned()) - len(self._ended)
        running = {trial for trial, state in states.items() if state == "running"}
        self.screen.draw(running, len(running))
        if left and now < self._queue_at:
            return None
        self._queue_at = now + QUEUE_SECONDS
        try:
            workers = list_workers(self.folder)
        except InputError as error:
            if left and not self._has_answered:
                raise
            self._complain(f"{error}: it is asked again")
            return None if left else ""
        self._has_answered = True
        self._complain(self._full_disk())
        self._look_at(workers)
        if not left:
            with suppress(InputError):
                cancel_workers(self.folder, only_waiting=True)
            return ""
        if any(worker.is_live for worker in workers):
            return None
        if any(worker.array in self._arrays and worker.is_cancelled for worker in workers):
            return "the workers were cancelled"
        try:
            return self._submit(left)
        except InputError as error:
            if not self._arrays:
                raise
            self._complain(f"{error}: it is asked again")
            return None

    def _ended_trials(self, states: dict[str, str]) -> set[str]:
        return {trial for trial, state in states.items() if state not in (*OPEN, "running")}

    def _tell(self, states: dict[str, str]) -> None:
        """Say which trials have ended since the last look."""
        ended = self._ended_trials(states)
        if ended - self._rows.keys():  # proposed since, or the round was extended
            self._rows = {row.trial: row for row in read_design(self.folder.design)}
        for trial in states:
            if trial in ended - self._ended:
                objective, most = self.round.objective, self.round.retry.attempts
                row = self._rows[trial]
                self.screen.ended(read_record(self.folder, row, objective, most))
        self._ended = ended

    def _look_at(self, workers: list[SlurmWorker]) -> None:
        told = describe_workers(workers)
        if told != self._queue:
            self._queue = told
            self.screen.say(told)
        self._arrays |= {worker.array for worker in workers if worker.is_live}
        for worker in workers:
            is_stuck = worker.is_held or worker.asks_too_much
            if (worker.has_failed or is_stuck) and worker.array in self._arrays:
                if worker.job not in self._told:
                    self.screen.say(self._describe(worker))
                self._told.add(worker.job)

    def _describe(self, worker: SlurmWorker) -> str:
        if worker.is_held:
            return (
                f"worker {worker.job} is held ({worker.reason}): let it go by `scontrol release "
                f"{worker.job}`, or end all by `phoneme-sweep cancel {self.folder.path} --workers`"
            )
        if worker.asks_too_much:
            return (
                f"worker {worker.job} asks for more than its partition has ({worker.reason}): "
                f"`phoneme-sweep cancel {self.folder.path} --workers`, and change "
                "executor.partition, time, cpus or gpus"
            )
        log = self.folder.path / LOGS / f"{worker.job}.log"
        told = f"worker {worker.job} on {worker.node or 'no node'}: {worker.state}"
        if not log.exists():
            why = shortage(self.folder) or (
                f"{worker.node} does not see {log.parent.resolve()}, and a round's folder must be "
                "on a disk that every node sees"
            )
            return f"{told}, without a log: {why}"
        said, code = last_lines(log, 1), os.waitstatus_to_exitcode(int(worker.status))
        return f"{told}, exit code {code}; it said last: {said[0] if said else 'nothing'}"

    def _submit(self, left: int) -> str | None:
        """Submit workers; give why not."""
        if self._until is not None and time.time() > self._until:
            return TIME_IS_OVER
        if short := shortage(self.folder):
            return short
        if self._ended_before == len(self._ended):
            return f"the workers have left and no trial has ended: see {self.folder.path / LOGS}"
        count = min(self.round.executor.array, -(-left // trials_a_worker(self.round)))
        with FileLock(self.folder.path / ".slurm.lock"):
            if any(worker.is_live for worker in list_workers(self.folder)):
                return None  # another driver was quicker
            array = submit_workers(self.folder, self.round, count, self._until)
        self._ended_before = len(self._ended)
        self._arrays.add(array)
        self.screen.say(f"SLURM has {count} workers of this round in its queue: array job {array}")
        self._queue_at = 0.0
        return None
