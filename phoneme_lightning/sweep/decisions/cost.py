"""What a setting costs beside its score: weights, time, further hyperparameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from phoneme_lightning.sweep.records import TrialRecord

__all__ = ["Cost", "cost_of"]


@dataclass(frozen=True)
class Cost:
    """What trials of one setting cost."""

    parameters: int | None
    """Weights of the net."""

    steps: int
    """Optimizer steps."""

    seconds: float | None
    """Time of a whole trial, validations and all; None where every trial was interrupted."""

    step_seconds: float | None
    """The same a step."""


def cost_of(trials: Sequence[TrialRecord]) -> Cost:
    """Give the cost of trials of one setting, averaged; what was interrupted is not timed."""
    timed = [one for one in trials if one.attempts == 1 and one.seconds and one.step]
    return Cost(
        parameters=next((one.parameters for one in trials if one.parameters), None),
        steps=max(one.step for one in trials),
        seconds=mean(one.seconds for one in timed) if timed else None,
        step_seconds=mean(one.seconds / one.step for one in timed) if timed else None,
    )
