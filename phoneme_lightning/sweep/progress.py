"""How far a round has come: counted from its folder, and only what is new is read again."""

import time
from collections import Counter
from dataclasses import dataclass

from phoneme_lightning.sweep.design import Row, read_design
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.records import TrialRecord, read_record
from phoneme_lightning.sweep.round import Round

__all__ = ["ArmProgress", "Progress", "RoundWatch", "clock", "now"]

SETTLED = ("completed", "infeasible")
FINAL = (*SETTLED, "failed", "cancelled")  # which a `retry` may still take back


@dataclass(frozen=True)
class ArmProgress:
    """How an arm stands; its counts add up to its trials."""

    arm: str
    """Name of the arm."""

    completed: int
    """Trials that reached their end."""

    infeasible: int
    """Trials whose setting failed."""

    failed: int
    """Trials that met a bug, or too many interruptions."""

    running: int
    """Trials that run, here or elsewhere."""

    waiting: int
    """Trials to come."""

    best: TrialRecord | None
    """The best completed trial."""


@dataclass(frozen=True)
class Progress:
    """How a round stands."""

    arms: list[ArmProgress]
    """Each arm, in the order of the design."""

    best: TrialRecord | None
    """The best completed trial of all."""

    done: int
    """Trials that need no more work."""

    total: int
    """Trials in all."""

    seconds: float
    """Mean time that a trial took."""


class RoundWatch:
    """Reads a round's folder again and again, cheaply.

    Args:
        folder: of the round.
        round: what it is.
    """

    def __init__(self, folder: RoundFolder, round: Round) -> None:
        self.folder, self.round = folder, round
        self._final: dict[str, TrialRecord] = {}
        self._rows: list[Row] = []
        self._design_time = 0

    def records(self) -> list[TrialRecord]:
        """Give every trial's record; those that are settled are read once."""
        changed = self.folder.design.stat().st_mtime_ns
        if changed != self._design_time:
            self._rows, self._design_time = read_design(self.folder.design), changed
        return [self._read(row) for row in self._rows]

    def _read(self, row: Row) -> TrialRecord:
        known = self._final.get(row.trial)
        if known is None:
            objective, most = self.round.objective, self.round.retry.attempts
            known = read_record(self.folder, row, objective, most)
            if known.state in SETTLED:
                self._final[row.trial] = known
        return known

    def look(self, running: set[str]) -> Progress:
        """Count.

        Args:
            running: names of the trials that run.
        """
        records = self.records()
        arms = []
        for arm in dict.fromkeys(record.arm for record in records):
            mine = [record for record in records if record.arm == arm]
            count = Counter(
                "running" if r.trial in running and r.state not in FINAL else r.state for r in mine
            )
            arms.append(
                ArmProgress(
                    arm=arm,
                    completed=count["completed"],
                    infeasible=count["infeasible"],
                    failed=count["failed"] + count["cancelled"],
                    running=count["running"],
                    waiting=count["waiting"] + count["interrupted"],
                    best=_first(ranked(mine, self.round.objective)),
                )
            )
        ended = [record for record in records if record.state in FINAL]
        took = [record.seconds for record in ended if record.seconds]
        return Progress(
            arms=arms,
            best=_first(ranked(records, self.round.objective)),
            done=len(ended),
            total=max(len(records), self.planned()),
            seconds=sum(took) / len(took) if took else 0.0,
        )

    def planned(self) -> int:
        """Give the trials of an exploit round, whose design grows; 0 for another."""
        if self.round.phase != "exploit":
            return 0
        return self.round.budget.points * len(self.round.seeds)


def _first(order: list[TrialRecord]) -> TrialRecord | None:
    return order[0] if order else None


def clock(seconds: float) -> str:
    """Write a time as 1:02:03 or 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def now() -> str:
    """Give the time of day."""
    return time.strftime("%H:%M:%S")
