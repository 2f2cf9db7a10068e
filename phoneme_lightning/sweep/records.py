"""What is known of every trial of a round, read from its folder and from nothing else."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from phoneme_lightning.sweep.design import Row, read_design
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.round import Objective
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import read_outcome

__all__ = [
    "OPEN",
    "PREEMPTED",
    "Measured",
    "State",
    "TrialRecord",
    "interruptions",
    "measure",
    "read_record",
    "read_records",
    "read_trial",
]

OPEN = ("waiting", "interrupted")
"""States that leave a trial to be run."""

BLAMELESS = {"stopped", "lost lease"}
"""Interruptions that do not count against a trial."""

PREEMPTED = "preempted"
"""What interrupts the trials of a worker whose time is over, or whose place another needs."""

State = Literal["waiting", "interrupted", "completed", "infeasible", "failed", "cancelled"]


@dataclass(frozen=True)
class Measured:
    """A metric over a trial's training, in the ways in which trials may be ranked."""

    best: float
    """The best validation."""

    best_step: int
    """Its step."""

    final: float
    """The last validation."""

    last: float
    """The mean of the last few."""

    def by(self, selection: Literal["best", "final", "last"]) -> float:
        """Give the one that ranks."""
        value: float = getattr(self, selection)
        return value


@dataclass(frozen=True)
class TrialRecord:
    """A recorded trial."""

    trial: str
    """Its name, which is its identity: point, arm and seed."""

    arm: str
    """Name of its arm."""

    point: int
    """Number of its point."""

    seed: int
    """Its seed."""

    values: Mapping[str, Any]
    """Its hyperparameters, by key."""

    state: State
    """waiting and interrupted may still be run; the others are final."""

    cause: str | None = None
    """Why it is infeasible, interrupted or failed."""

    message: str = ""
    """The cause in a line."""

    attempts: int = 0
    """Attempts so far."""

    folder: Path | None = None
    """Folder of the attempt that decided, else of the newest."""

    measured: Measured | None = None
    """Its objective; None before the first validation."""

    step: int = 0
    """Steps done."""

    seconds: float = 0.0
    """Time that the deciding attempt took."""

    parameters: int | None = None
    """Weights of the net."""

    stopped_early: str | None = None
    """Who ended it before its time, if anybody did: `asked` is pruning."""

    environment: Mapping[str, Any] = field(default_factory=dict)
    """Versions, commit, corpus, host and device of the deciding attempt."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return {**asdict(self), "folder": str(self.folder) if self.folder else None}


def measure(rows: Sequence[Mapping[str, float]], objective: Objective) -> Measured | None:
    """Measure a trial's curve.

    Args:
        rows: of metrics.csv.
        objective: which column, and what is better.

    Returns:
        None where the column has no finite value.
    """
    seen = [
        (row[objective.metric], int(row["step"]))
        for row in rows
        if abs(row.get(objective.metric, float("nan"))) < float("inf")
    ]
    if not seen:
        return None
    sign = 1 if objective.mode == "max" else -1
    best, best_step = max(seen, key=lambda pair: sign * pair[0])  # the earliest of equals
    tail = [value for value, _ in seen[-objective.last :]]
    return Measured(best, best_step, seen[-1][0], sum(tail) / len(tail))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def interruptions(folder: RoundFolder, trial: str) -> int:
    """Count the attempts at a trial that its machine cut short, as far as they count against it.

    An attempt that died with its worker does not, nor one that a person stopped, nor those before
    a `retry`. One whose worker had to leave counts if it came no further than the one before:
    where a worker's time is too short for a validation, the trial would begin again for ever.
    """
    forgiven = _read_json(folder.trials / trial / "retried.json").get("attempts", 0)
    attempts = folder.attempts(trial)
    count = 0
    for before, path in list(zip([None, *attempts], attempts, strict=False))[forgiven:]:
        cause = _read_json(path / "attempt.json").get("interrupted")
        if cause == PREEMPTED:
            count += _steps_of(path) <= (_steps_of(before) if before else 0)
        else:
            count += cause is not None and cause not in BLAMELESS
    return count


def _steps_of(attempt: Path) -> int:
    return _last_step(read_metrics(attempt / "metrics.csv"))


def _last_step(rows: Sequence[Mapping[str, float]]) -> int:
    return int(max((row["step"] for row in rows), default=0))


def read_record(folder: RoundFolder, row: Row, objective: Objective, most: int) -> TrialRecord:
    """Read one trial; see `read_trial`."""
    return read_trial(folder, row, objective, most)[0]


def read_trial(
    folder: RoundFolder, row: Row, objective: Objective, most: int
) -> tuple[TrialRecord, list[dict[str, float]]]:
    """Read one trial with its curves, whose file may be long and is read once.

    Args:
        folder: of the round.
        row: its line in the design.
        objective: what to measure.
        most: after how many interruptions a trial has failed.

    Returns:
        The trial, and the rows of the metrics.csv that it was measured by.
    """
    attempts = folder.attempts(row.trial)
    known: dict[str, Any] = {
        "trial": row.trial,
        "arm": row.arm,
        "point": row.point,
        "seed": row.seed,
        "values": row.values,
        "attempts": len(attempts),
    }
    if (folder.trials / row.trial / "cancelled").exists():
        return TrialRecord(**known, state="cancelled"), []
    if not attempts:
        return TrialRecord(**known, state="waiting"), []
    decided = [(path, read_outcome(path)) for path in attempts]
    path, outcome = next(
        ((path, outcome) for path, outcome in decided if outcome), (attempts[-1], None)
    )
    rows = read_metrics(path / "metrics.csv")
    known |= {
        "folder": path,
        "measured": measure(rows, objective),
        "environment": _read_json(path / "environment.json"),
    }
    if outcome:
        record = TrialRecord(
            **known,
            state=outcome.state,
            cause=outcome.cause,
            message=outcome.message,
            step=outcome.step,
            seconds=outcome.seconds,
            parameters=outcome.parameters,
            stopped_early=outcome.stopped_early,
        )
        return record, rows
    step = _last_step(rows)
    cause = _read_json(path / "attempt.json").get("interrupted")
    times = interruptions(folder, row.trial)
    if times >= most:
        message = f"interrupted {times} times, last: {cause}"
        failed = TrialRecord(**known, state="failed", cause=cause, message=message, step=step)
        return failed, rows
    return TrialRecord(**known, state="interrupted", cause=cause, step=step), rows


def read_records(folder: RoundFolder, objective: Objective, most: int) -> list[TrialRecord]:
    """Read every trial of a round, in the order of its design.

    Args:
        folder: of the round.
        objective: what to measure.
        most: after how many interruptions a trial has failed.
    """
    return [read_record(folder, row, objective, most) for row in read_design(folder.design)]
