"""How a trial of the study ends: what the record of a trial is to an Optuna study."""

from collections.abc import Iterable
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.round import Objective

__all__ = ["CONSTRAINT", "Ending", "ending_of", "label_of", "worst"]

CONSTRAINT = "infeasible"
"""Optuna's constraint on every trial: 0 holds, 1 is violated."""

NOTHING_MEASURED = {"max": 0.0, "min": 1e3}
"""Value of an infeasible trial where there is nothing to go by."""

STATES = {
    "completed": TrialState.COMPLETE,
    # As FAIL a sampler would forget it and go back there; as NaN or infinite it would be no value.
    "infeasible": TrialState.COMPLETE,
    # Its value stands for less training than the others', so no best value is taken from it.
    "pruned": TrialState.PRUNED,
}


@dataclass(frozen=True)
class Ending:
    """How a trial of the study ends."""

    label: str
    """completed, infeasible, pruned, failed, interrupted, cancelled or duplicate."""

    cause: str | None = None
    """Why, where it is not completed."""

    value: float | None = None
    """Of the objective, always finite."""

    @property
    def state(self) -> TrialState:
        """Optuna's word for it."""
        return STATES.get(self.label, TrialState.FAIL)

    @property
    def attrs(self) -> dict[str, str]:
        """What Optuna's word does not say, as user attributes."""
        if self.label == "completed":
            return {}
        return {"state": self.label} | ({"cause": self.cause} if self.cause else {})


def label_of(trial: FrozenTrial) -> str:
    """Say what a trial of the study does: waiting, running, or the label of its ending."""
    match trial.state:
        case TrialState.COMPLETE:
            is_feasible = all(violation <= 0 for violation in trial.constraints.values())
            return "completed" if is_feasible else "infeasible"
        case TrialState.FAIL:
            return str(trial.user_attrs.get("state", "failed"))
        case _:
            return trial.state.name.lower()


def worst(values: Iterable[float], objective: Objective) -> float | None:
    """Give the worst of some values of the objective; None of none."""
    return (min if objective.mode == "max" else max)(values, default=None)


def ending_of(record: TrialRecord, objective: Objective, bad: float | None) -> Ending:
    """Say how a trial that its folder calls decided ends in the study.

    Args:
        record: of the trial.
        objective: what ranks it.
        bad: the worst feasible value so far, which an infeasible trial gets.
    """
    measured = record.measured.by(objective.selection) if record.measured else None
    if record.state == "infeasible":
        if bad is None and objective.mode == "min":
            bad = measured
        value = NOTHING_MEASURED[objective.mode] if bad is None else bad
        return Ending("infeasible", record.cause, value)
    if record.state != "completed":
        return Ending(record.state, record.cause)
    if measured is None:
        return Ending("failed", f"no value of {objective.metric}")
    return Ending("pruned" if record.stopped_early else "completed", record.stopped_early, measured)
