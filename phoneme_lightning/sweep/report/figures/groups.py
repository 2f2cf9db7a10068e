"""Groups of trials, arms or parts of a range: how good each gets, and by how much luck."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.statistics import best_of
from phoneme_lightning.sweep.report.figures.style import scored
from phoneme_lightning.sweep.spaces import Categorical, Space

__all__ = ["Group", "bucket_groups", "make_group"]

MOST_BUCKETS, TRIALS_A_BUCKET = 6, 5


class Group(NamedTuple):
    """An arm, or a part of a range."""

    name: str
    span: tuple[float, float] | None
    """Ends of a part of a range; None for an arm without one."""

    trials: tuple[str, ...]
    """Names of its completed trials."""

    values: tuple[float, ...]
    """What ranks them, as many."""

    compared: int
    """How many trials the interval is for: the fewest that any group completed."""

    best: float | None
    top3: float | None
    """Mean of its best three."""

    interval: tuple[float, float] | None
    """95 % of the bests that redrawing so many of its trials gives."""


def make_group(
    name: str,
    span: tuple[float, float] | None,
    trials: Mapping[str, float],
    compared: int,
    mode: Literal["max", "min"],
) -> Group:
    """Say how good a group of completed trials gets.

    Args:
        name: of the group.
        span: of the part of a range that it is.
        trials: name -> what ranks it.
        compared: how many trials to draw again.
        mode: which is better.
    """
    names, values = tuple(trials), tuple(trials.values())
    if not values:
        return Group(name, span, names, values, compared, None, None, None)
    sign = 1.0 if mode == "max" else -1.0
    turned = np.sort(sign * np.array(values))[::-1]
    best, top3 = sign * float(turned[0]), sign * float(turned[:3].mean())
    low, high = (best_of(turned, max(compared, 1), chance) for chance in (0.025, 0.975))
    interval = (low, high) if mode == "max" else (-high, -low)
    return Group(name, span, names, values, compared, best, top3, interval)


def bucket_groups(evidence: Evidence, key: str, space: Space) -> tuple[Group, ...]:
    """Cut a hyperparameter's range into equal parts, and give the best of each over all else.

    Points that fill the space evenly, as Halton's do, allow it.

    Args:
        evidence: the round.
        key: of the hyperparameter.
        space: its range.

    Returns:
        Nothing for choices, or where trials are too few for two parts.
    """
    found = [
        (trial.trial, trial.values[key], value)
        for trial in evidence.trials
        if key in trial.values and (value := scored(evidence, trial)) is not None
    ]
    count = min(MOST_BUCKETS, len(found) // TRIALS_A_BUCKET)
    if isinstance(space, Categorical) or count < 2:
        return ()
    parts: list[dict[str, float]] = [{} for _ in range(count)]
    for name, x, value in found:
        if 0 <= (coordinate := space.coordinate(x)) <= 1:
            parts[min(int(coordinate * count), count - 1)][name] = value
    fewest = min((len(part) for part in parts if part), default=0)
    ends = [float(space.at(end / count)) for end in range(count + 1)]
    return tuple(
        make_group(
            f"{low:.3g} to {high:.3g}", (low, high), part, fewest, evidence.round.objective.mode
        )
        for low, high, part in zip(ends, ends[1:], parts, strict=False)
    )
