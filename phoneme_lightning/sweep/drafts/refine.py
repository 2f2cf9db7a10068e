"""New bounds for a hyperparameter, from where its good trials were."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Branch, Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.limits import limits
from phoneme_lightning.sweep.findings.statistics import largest_effect
from phoneme_lightning.sweep.spaces import Int, Log, Uniform

__all__ = ["Refined", "indifferent", "refine"]

Range = Log | Uniform | Int

FEWEST = 8
"""Completed points without which no range is narrowed."""

GOOD = 4
"""The best one in so many points shows where the good region is; at least so many points do."""

WORTH = 0.75
"""Share of a range that a narrower one must not exceed, or the range stays as it is."""

NARROWEST = 5.0
"""Factor that a logarithmic range spans at least: the best value moves with the next question."""

FLAT = 4.0
"""Seed-sigma that a hyperparameter must be unable to cost, or it counts as one that matters."""


@dataclass(frozen=True)
class Refined:
    """A range, and why it is the one to search next."""

    space: Range
    """The new range."""

    low_because: str | None = None
    """Why its lower bound has moved."""

    high_because: str | None = None
    """Why its upper bound has moved."""


def refine(
    evidence: Evidence,
    branches: Sequence[Branch],
    key: str,
    space: Range,
    findings: Sequence[Finding],
) -> Refined:
    """Move the bounds of a hyperparameter.

    A bound at which the objective still rises moves out, as the finding proposes. Else the range is
    drawn around the best quarter of the points of each arm, with one spacing of the points to
    spare on either side (Google's tuning playbook: a space comfortably around the best), and ends
    where trials stop working.

    Args:
        evidence: the round.
        branches: the parts of arms that are searched on and have this range.
        key: the hyperparameter.
        space: its range.
        findings: on the round.
    """
    out = {
        bool(one.numbers["upper"]): float(one.numbers["proposed"])
        for one in findings
        if one.rule == "boundary"
        and one.key == key
        and one.verdict in ("warn", "block")
        and one.arm in {branch.arm for branch in branches}
    }
    if out:
        low, high = out.get(False, space.low), out.get(True, space.high)
        rises = "the objective still rose up to the old bound"
        return _made(
            space, low, high, rises if False in out else None, rises if True in out else None
        )
    region = _region(evidence, branches, key)
    if region is None:
        return Refined(space)
    low, high = _widened(space, *region)
    good = "around the good trials"
    if high - low <= WORTH:
        low_because = good if low > 0 else None
        high_because = good if high < 1 else None
        return _made(space, space.at(low), space.at(high), low_because, high_because)
    ends = [one for branch in branches for one in limits(evidence, branch) if one.key == key]
    walls = [one for one in ends if one.beyond]
    low = min((one.value for one in walls if not one.upper), default=space.low)
    high = max((one.value for one in walls if one.upper), default=space.high)
    stop = "nothing worked beyond"
    return _made(
        space, low, high, stop if low > space.low else None, stop if high < space.high else None
    )


def _region(evidence: Evidence, branches: Sequence[Branch], key: str) -> tuple[float, float] | None:
    """Give the coordinates between which the good points of all branches lie, with some room."""
    lows, highs = [], []
    for branch in branches:
        points, scores = evidence.completed_points(branch)
        if len(scores) < FEWEST:
            return None
        along = points[:, list(branch.spaces).index(key)]
        count = max(GOOD, math.ceil(len(scores) / GOOD))
        best = along[np.argsort(-scores)[:count]]
        room = 1 / len(evidence.by_point(branch.trials))
        lows.append(float(best.min()) - room)
        highs.append(float(best.max()) + room)
    return (max(0.0, min(lows)), min(1.0, max(highs))) if lows else None


def _widened(space: Range, low: float, high: float) -> tuple[float, float]:
    """Widen a part of a logarithmic range that would be too narrow to explore."""
    if not isinstance(space, Log):
        return low, high
    least = math.log(NARROWEST) / math.log(space.high / space.low)
    more = max(0.0, least - (high - low)) / 2
    return max(0.0, low - more), min(1.0, high + more)


def _made(
    space: Range, low: float, high: float, why_low: str | None, why_high: str | None
) -> Refined:
    wall_low, wall_high = space.hard or (None, None)
    new_low = space.low if why_low is None else _round(low, math.floor)
    new_high = space.high if why_high is None else _round(high, math.ceil)
    if low >= space.low:  # rounding must not move a bound out
        new_low = max(new_low, space.low)
    if high <= space.high:
        new_high = min(new_high, space.high)
    if wall_low is not None:
        new_low = max(new_low, wall_low)
    if wall_high is not None:
        new_high = min(new_high, wall_high)
    if isinstance(space, Int):
        new_low, new_high = round(new_low), round(new_high)
    if new_low >= new_high:
        return Refined(space)
    moved = {"low": new_low, "high": new_high}
    return Refined(
        replace(space, **moved),  # type: ignore[arg-type]
        why_low if new_low != space.low else None,
        why_high if new_high != space.high else None,
    )


def _round(value: float, towards: Callable[[float], int]) -> float:
    """Round to two digits."""
    if value == 0:
        return 0.0
    digits = 1 - math.floor(math.log10(abs(value)))
    scale = 10.0**digits
    return float(f"{towards(round(value * scale, 6)) / scale:.6g}")


def indifferent(evidence: Evidence, branches: Sequence[Branch], key: str) -> float | None:
    """Give what a hyperparameter could have cost at most, where that is too little to matter.

    Args:
        evidence: the round.
        branches: where it was tuned, along with another one.
        key: the hyperparameter.

    Returns:
        An upper bound in units of the objective; None where it may well matter.
    """
    costs = []
    for branch in branches:
        points, scores = evidence.completed_points(branch)
        effect = largest_effect(points, scores, list(branch.spaces).index(key))
        if effect is None or effect.bound > FLAT * effect.residual:
            return None
        costs.append(effect.bound)
    return max(costs, default=None)
