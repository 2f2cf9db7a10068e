"""Towards which end of a hyperparameter trials stop working."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from phoneme_lightning.sweep.findings.evidence import Branch, Evidence

__all__ = ["Limit", "limits"]

LEVEL = 0.05


@dataclass(frozen=True)
class Limit:
    """An end of a range at which infeasible trials crowd."""

    key: str
    """The hyperparameter."""

    upper: bool
    """Whether it is the upper end."""

    coordinate: float
    """Of the last trial that works, towards that end."""

    value: float
    """Of the hyperparameter there."""

    beyond: int
    """Infeasible trials beyond it; with none the end is no limit, only a bad neighbourhood."""

    chance: float
    """Of trials failing so much on one side by luck; corrected for the number of sides."""


def limits(evidence: Evidence, branch: Branch) -> list[Limit]:
    """Find the hyperparameters at whose one end infeasible trials crowd.

    By Mann and Whitney's test, in its normal approximation.

    Args:
        evidence: the round.
        branch: whose trials to look at.
    """
    good = [record for record in branch.trials if record.state == "completed"]
    bad = [record for record in branch.trials if record.state == "infeasible"]
    if not good or not bad or not branch.spaces:
        return []
    works, fails = evidence.coordinates(branch, good), evidence.coordinates(branch, bad)
    pairs = len(good) * len(bad)
    error = np.sqrt(pairs * (len(good) + len(bad) + 1) / 12)
    found = []
    for place, (key, space) in enumerate(branch.spaces.items()):
        above = np.sign(fails[:, None, place] - works[None, :, place]).sum() / 2
        for upper in (False, True):
            z = (above if upper else -above) / error
            chance = min(1.0, float(ndtr(-z)) * 2 * len(branch.spaces))
            if chance < LEVEL:
                side = works[:, place]
                last = float(side.max() if upper else side.min())
                outside = fails[:, place] > last if upper else fails[:, place] < last
                beyond = int(outside.sum())
                found.append(Limit(key, upper, last, float(space.at(last)), beyond, chance))
    return found
