"""Runs a round's trials on this machine: claims them, starts them, records what became of them.

Any number of drivers may work on one round, on one machine or on several that see its folder and
its storage: whoever claims a trial runs it.
"""

import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from types import FrameType

from phoneme_lightning.sweep.attempt import Ended, RunningAttempt, start_attempt
from phoneme_lightning.sweep.claim import Claim, LostLease
from phoneme_lightning.sweep.design import Row, read_design
from phoneme_lightning.sweep.disk import shortage
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.launch import Launcher
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.records import PREEMPTED, TrialRecord, interruptions, read_record
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.storage import STORAGE_ERRORS
from phoneme_lightning.sweep.storage_patient import say_fault
from phoneme_lightning.training.outcome import Outcome, write_outcome

__all__ = ["TIME_IS_OVER", "Driver", "Slot", "View"]

POLL_SECONDS = 0.05
STORAGE_PAUSE_SECONDS = 2.0
STORAGE_AWAY_SECONDS = 1800.0  # for which a place is held without work
FIRST_IDLE_SECONDS, MOST_IDLE_SECONDS = 0.5, 4.0  # before an empty queue is looked at again
SAME_FAILURES = 3

TIME_IS_OVER = "budget.total_time is over"
"""Why a driver stops that was given so much time."""


class View:
    """What the driver tells whoever watches; this one keeps silent."""

    def say(self, message: str) -> None:
        """Tell something that happened."""

    def ended(self, record: TrialRecord) -> None:
        """Tell that a trial has ended."""

    def show(self, driver: "Driver") -> None:
        """Show how it stands; called many times a second."""


@dataclass
class Slot:
    """A trial that runs here."""

    claim: Claim
    row: Row
    running: RunningAttempt
    beat_at: float
    gpu: str | None = None
    ended: Ended | None = None


def _nothing(row: Row) -> str | None:
    return None


def _place(trace: str) -> str:
    """Give the lines of code that a traceback names; its message may tell the trial's values."""
    return "\n".join(line for line in trace.splitlines() if line.startswith("  File "))


@dataclass
class Driver:
    """Runs trials until none is left to run.

    Args:
        folder: of the round.
        round: what it is.
        ledger: its queue.
        launcher: starts a trial's process.
        parallel: trials at once.
        objection: names the constraint that a trial's setting violates, if it does.
        propose: makes a further trial of an exploit round; None when there are enough.
        watch: looks at a running trial now and then, to prune it say.
        tidy: called when a trial has ended, to delete what nobody needs any more.
        gpus: as CUDA_VISIBLE_DEVICES names them; a trial gets the one with the fewest others.
        view: who watches.
    """

    folder: RoundFolder
    round: Round
    ledger: Ledger
    launcher: Launcher
    parallel: int
    objection: Callable[[Row], str | None] = _nothing
    propose: Callable[[], tuple[Claim, Row] | None] = lambda: None
    watch: Callable[[Slot], None] = lambda slot: None
    tidy: Callable[[], None] = lambda: None
    gpus: Sequence[str] = ()
    view: View = field(default_factory=View)

    def __post_init__(self) -> None:
        self.slots: list[Slot] = []
        self.stops = 0
        self.why_stopped = ""
        self.started = time.monotonic()
        self._rows: dict[str, Row] = {}
        self._first: list[str | None] = []
        self._untold: list[Callable[[], None]] = []
        self._storage_is_down, self._down_since = False, 0.0
        self._claim_at = 0.0
        self._duty = self.ledger.duty()
        self._idle_seconds = FIRST_IDLE_SECONDS

    def run(self) -> None:
        """Run until nothing is left, or until stopped; the storage may come and go meanwhile."""
        with self._signals():
            while True:
                try:
                    if self._turn():
                        return
                    if self._storage_is_down:
                        self._storage_is_down = False
                        self.view.say("the storage answers again")
                except STORAGE_ERRORS as error:
                    self._endure(error)
                    if self.stops and all(slot.ended for slot in self.slots):
                        self.view.say("the storage is told how it ended when the round goes on")
                        return
                self.view.show(self)
                time.sleep(POLL_SECONDS)

    @property
    def is_preempted(self) -> bool:
        """Whether it was told that its place is needed."""
        return self.why_stopped == PREEMPTED

    def stop(self, why: str) -> None:
        """Start nothing more; what runs may end."""
        if not self.why_stopped:
            self.why_stopped = why
            self.view.say(f"{why}: nothing more is started, what runs is finished")
        self.stops = max(self.stops, 1)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def interrupt(number: int, frame: FrameType | None) -> None:
            self.stops += 1 if number == signal.SIGINT else 2
            why = PREEMPTED if number == signal.SIGUSR1 else "stopped"
            self.why_stopped = self.why_stopped or why
            if self.stops == 1:
                self.view.say(
                    f"stopping once the {len(self.slots)} trials that run are finished; once more "
                    "(Ctrl-C) to stop now"
                )

        # SIGUSR1 is what our template has SLURM send before a worker's time is over.
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        before = {number: signal.signal(number, interrupt) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _endure(self, error: BaseException) -> None:
        if not self._storage_is_down:
            self._storage_is_down, self._down_since = True, time.monotonic()
            self.view.say(
                f"the storage does not answer ({say_fault(error)}): {len(self.slots)} trials go "
                "on, their outcomes are kept in their folders, and it is asked again"
            )
        pause = time.monotonic() + STORAGE_PAUSE_SECONDS
        while time.monotonic() < pause:
            self._poll()
            time.sleep(POLL_SECONDS)
        idle = all(slot.ended for slot in self.slots)
        if idle and time.monotonic() - self._down_since > STORAGE_AWAY_SECONDS:
            self.stop("the storage stays away and nothing runs any more")

    def _turn(self) -> bool:
        """Do all that is due; say whether there is nothing left to do."""
        now = time.monotonic()
        self._poll()
        self._settle()
        for slot in list(self.slots):
            self._look(slot, now)
        limit = self.round.budget.total_time
        if limit is not None and now - self.started > limit:
            self.stop(TIME_IS_OVER)
        if self._duty.is_due():
            for message in self.ledger.reap():
                self.view.say(message)
            self._duty.looked()
        queue_is_empty = not self.stops and now >= self._claim_at and self._fill(now)
        if self.slots:
            return False
        return bool(self.stops) or (queue_is_empty and self._nobody_else_runs())

    def _poll(self) -> None:
        for slot in self.slots:
            if slot.ended is None:
                if self.stops >= 2:
                    slot.running.stop(PREEMPTED if self.is_preempted else "stopped")
                slot.ended = slot.running.poll()

    def _look(self, slot: Slot, now: float) -> None:
        try:
            if slot.ended is not None:
                self._record(slot, slot.ended)
                self.slots.remove(slot)
                self._claim_at, self._idle_seconds = 0.0, FIRST_IDLE_SECONDS
            elif now >= slot.beat_at:
                slot.beat_at = now + self.round.storage.beat
                self.ledger.beat(slot.claim)
            else:
                self.watch(slot)
        except LostLease:
            cancelled = (self.folder.trials / slot.row.trial / "cancelled").exists()
            why = "it is cancelled" if cancelled else "another worker has taken it over"
            self.view.say(f"{slot.row.trial}: {why}; it ends here")
            slot.running.abandon()
            self.slots.remove(slot)

    def _record(self, slot: Slot, ended: Ended) -> None:
        trial, most = slot.row.trial, self.round.retry.attempts
        if ended.outcome is not None:
            record = read_record(self.folder, slot.row, self.round.objective, most)
            self.ledger.finish(slot.claim, record)
            self._note(ended.outcome.traceback, record)
            self.view.ended(record)
            self.tidy()
            return
        times = interruptions(self.folder, trial)
        again, delay = times < most, 0.0
        if times and not self.stops:
            delay = self.round.retry.backoff * 2 ** (times - 1)
        self.ledger.interrupted(slot.claim, ended.cause or "", delay, again)
        if again:
            wait = f" in {delay:g} s" if delay else ""
            self.view.say(f"{trial}: interrupted ({ended.cause}); it is tried again{wait}")
        else:
            record = read_record(self.folder, slot.row, self.round.objective, most)
            self._note(None, record)
            self.view.ended(record)

    def _note(self, trace: str | None, record: TrialRecord) -> None:
        """Stop where the first trials all fail in the same way: the fault is not in a setting."""
        if len(self._first) == SAME_FAILURES:
            return
        failed = record.state == "failed"
        self._first.append(_place(trace) if trace else record.message if failed else None)
        if len(self._first) == SAME_FAILURES and len(set(self._first)) == 1 and self._first[0]:
            self.stop(
                f"the first {SAME_FAILURES} trials failed alike, {record.message!r} (once that is "
                f"mended: phoneme-sweep retry {self.folder.path})"
            )

    def _fill(self, now: float) -> bool:
        """Start what there is room for; say whether the queue is empty."""
        while len(self.slots) < self.parallel and not self.stops:
            if short := shortage(self.folder):
                self.stop(short)
                break
            claim = self.ledger.claim()
            if claim is not None:
                self._begin(claim, self._row(claim.trial))
                continue
            try:
                proposed = self.propose()
            except LostLease:
                continue  # the sampler took so long that it was taken for dead
            if proposed is None:
                self._claim_at = now + self._idle_seconds
                self._idle_seconds = min(2 * self._idle_seconds, MOST_IDLE_SECONDS)
                return True
            self._begin(*proposed)
        return False

    def _row(self, trial: str) -> Row:
        if trial not in self._rows:
            self._rows = {row.trial: row for row in read_design(self.folder.design)}
        return self._rows[trial]

    def _begin(self, claim: Claim, row: Row) -> None:
        gpu = min(self.gpus, key=[slot.gpu for slot in self.slots].count, default=None)
        env = {"CUDA_VISIBLE_DEVICES": gpu} if gpu else None
        try:
            objection = self.objection(row)
            if objection is None:
                running = start_attempt(
                    self.folder, self.round, row, claim.attempt, self.launcher, env
                )
                beat_at = time.monotonic() + self.round.storage.beat
                self.slots.append(Slot(claim, row, running, beat_at, gpu))
                return
            outcome = Outcome("infeasible", cause="constraint", message=objection)
        except OSError as error:
            self.stop(f"{row.trial} cannot start ({error})")
            self._tell(partial(self.ledger.interrupted, claim, str(error), 0.0, True))
            return
        except Exception as error:  # one trial's fault must not end the round
            trace = "".join(traceback.format_exception(error))
            outcome = Outcome("failed", message=f"it cannot start: {error}", traceback=trace)
        into = self.folder.attempt(row.trial, claim.attempt)
        into.mkdir(parents=True, exist_ok=True)
        write_outcome(into, outcome)
        record = read_record(self.folder, row, self.round.objective, self.round.retry.attempts)
        self._note(outcome.traceback, record)
        self.view.ended(record)
        self._tell(partial(self.ledger.finish, claim, record))

    def _tell(self, tell: Callable[[], None]) -> None:
        """Tell the storage something that it must learn, if not now then when it answers."""
        self._untold.append(tell)
        self._settle()

    def _settle(self) -> None:
        while self._untold:
            with suppress(LostLease):
                self._untold[0]()
            self._untold.pop(0)

    def _nobody_else_runs(self) -> bool:
        # What another driver runs may yet fall to this one, and so may what waits for its time.
        return not {"waiting", "running"} & set(self.ledger.states().values())
