"""What becomes of a schedule when training gets longer or shorter."""

from collections.abc import Mapping
from typing import Any

from phoneme_lightning.sweep.keys import WARMUP

__all__ = ["SCHEDULE", "lengthen", "scale_interval"]

SCHEDULE, DECAY = "model.schedule", "model.decay_steps"


def lengthen(
    settings: Mapping[str, Any], before: int, after: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Carry a schedule over to another number of steps, as the tuning playbook says.

    A cosine is stretched over the new steps and keeps its peak; a linear decay keeps its length,
    and the constant part before it grows; the warmup stays. (Google's tuning playbook, "Deciding
    how long to train when training is compute-bound".) It says nothing of shorter training: there
    the warmup keeps its share, or it might take up all steps.

    Args:
        settings: of a fit, by dotted key.
        before: its steps.
        after: the steps that it shall have.

    Returns:
        The settings that change, and why each setting of the schedule is as it is.
    """
    schedule = settings.get(SCHEDULE, "constant")
    known, decay = int(settings.get(WARMUP) or 0), settings.get(DECAY)
    warmup, changes = known, {}
    reasons = {WARMUP: f"a warmup carries over to {after} steps as it is"}
    if known and after < before:
        warmup = changes[WARMUP] = max(1, known * after // before)
        reasons[WARMUP] = f"the share of {after} steps that {known} were of {before}"
    if schedule == "linear" and after > before:
        changes[DECAY] = int(decay) if decay else before - warmup
        reasons[DECAY] = "the decay keeps its length, the constant part before it grows"
    elif schedule == "cosine" and decay and after > before:
        changes[DECAY] = round(decay * (after - warmup) / (before - warmup))
        reasons[DECAY] = "stretched over the new steps, from the same peak"
    elif decay and decay > after - warmup:
        changes[DECAY] = max(1, after - warmup)
        reasons[DECAY] = f"no longer than {after} steps leave room for"
    else:
        told = {"cosine": "stretched over the new steps, from the same peak"}
        told["constant"] = "as it was"
        reasons[SCHEDULE] = told.get(schedule, "falls over the new steps")
    return changes, reasons


def scale_interval(every: int, before: int, after: int) -> int:
    """Give the steps between validations that leave as many validations as there were."""
    return max(1, round(every * after / before))
