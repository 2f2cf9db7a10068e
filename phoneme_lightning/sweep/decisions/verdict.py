"""ADOPT, HOLD or MORE SEEDS: what the differences between paired seeds decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

__all__ = ["LEVEL", "LOOKS", "Verdict", "decide", "paired_interval"]

LOOKS = 3
"""At the first seeds, and at as many more, twice."""

LEVEL = 0.0221
"""Chance that the interval of one look misses, so that those of three looks together hold at 95 %
(Pocock 1977, Biometrika 64:191, table 1: three looks, two-sided 5 %)."""


@dataclass(frozen=True)
class Verdict:
    """What a look at the differences decides."""

    word: Literal["ADOPT", "HOLD", "MORE SEEDS"]
    """What to do."""

    mean: float
    """Mean gain of the candidate over the baseline."""

    low: float
    """Lower end of its interval."""

    high: float
    """Upper end."""

    look: int
    """Which look it is, from 1."""


def paired_interval(differences: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Give Student's interval of a mean of paired differences.

    Args:
        differences: at least 2.
        level: chance that it misses the true mean.
    """
    values = np.asarray(differences, dtype=float)
    error = float(np.std(values, ddof=1)) / np.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, 1 - level / 2)) * error
    mean = float(np.mean(values))
    return mean - half, mean + half


def decide(differences: Sequence[float], look: int, min_gain: float = 0.0) -> Verdict:
    """Decide whether to adopt a candidate.

    ADOPT where the interval is above 0 and the mean above `min_gain`. HOLD where the interval is
    not above `min_gain` anywhere, or where the last look leaves it open. Else MORE SEEDS.

    Args:
        differences: candidate less baseline, a seed each, turned so that more is better; at least
            2, none of which chose the candidate.
        look: which look at them this is, from 1 to LOOKS.
        min_gain: gain, 0 or more, that is not worth a change.
    """
    low, high = paired_interval(differences)
    mean = float(np.mean(differences))
    if low > 0 and mean > min_gain:
        word: Literal["ADOPT", "HOLD", "MORE SEEDS"] = "ADOPT"
    elif high <= min_gain or look >= LOOKS:
        word = "HOLD"
    else:
        word = "MORE SEEDS"
    return Verdict(word, mean, low, high, look)
