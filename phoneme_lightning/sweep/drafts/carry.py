"""What becomes of a schedule when training gets longer or shorter."""

from collections.abc import Mapping
from typing import Any

__all__ = ["SCHEDULE", "lengthen", "scale_interval"]

SCHEDULE, WARMUP, DECAY = "model.schedule", "model.warmup_steps", "model.decay_steps"


def lengthen(
    settings: Mapping[str, Any], before: int, after: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Carry a schedule over to another number of steps, as the tuning playbook says.

    A cosine is stretched over the new steps and keeps its peak; a linear decay keeps its length,
    and the constant part before it grows; the warmup stays. (Google's tuning playbook, "Deciding
    how long to train when training is compute-bound".)

    Args:
        settings: of a fit, by dotted key.
        before: its steps.
        after: the steps that it shall have.

    Returns:
        The settings that change, and why each setting of the schedule is as it is.
    """
    schedule = settings.get(SCHEDULE, "constant")
    warmup, decay = int(settings.get(WARMUP) or 0), settings.get(DECAY)
    reasons = {WARMUP: f"a warmup carries over to {after} steps as it is"}
    if schedule == "linear" and after > before:
        length = int(decay) if decay else before - warmup
        reasons[DECAY] = f"the decay keeps its length, the constant part before it grows to {after}"
        return {DECAY: length}, reasons
    if decay and decay > after - warmup:
        reasons[DECAY] = f"no longer than {after} steps leave room for"
        return {DECAY: max(1, after - warmup)}, reasons
    told = {"cosine": "stretched over the new steps, from the same peak", "constant": "as it was"}
    reasons[SCHEDULE] = told.get(schedule, "falls over the new steps")
    return {}, reasons


def scale_interval(every: int, before: int, after: int) -> int:
    """Give the steps between validations that leave as many validations as there were."""
    return max(1, round(every * after / before))
