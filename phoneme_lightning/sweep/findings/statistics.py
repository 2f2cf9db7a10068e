"""The few statistics that the findings share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

__all__ = [
    "FREE",
    "Effect",
    "Rise",
    "best_of",
    "jitter",
    "largest_effect",
    "middle",
    "normal_scores",
    "rises",
    "spread",
    "swap_test",
    "wilson",
]

Floats = NDArray[np.float64]

Z95 = 1.959963984540054
FREE = 6
"""Degrees of freedom without which no surface is fitted."""
STILL = 0.75
"""Coordinate at which an objective that is best at the upper bound must still rise."""
SHUFFLES = 999
SMALLER, SMALLER_MEAN = 0.85, 0.6057
"""A share, and the mean of that smaller share of the absolute values of normal deviates."""


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Give the 95 % Wilson interval of a share.

    Args:
        hits: how often it happened.
        of: how often it could have.
    """
    if not of:
        return 0.0, 1.0
    share, wide = hits / of, Z95 * Z95 / of
    middle = (share + wide / 2) / (1 + wide)
    half = Z95 * np.sqrt(share * (1 - share) / of + wide / (4 * of)) / (1 + wide)
    # The ends are exact where nothing or everything was hit, whatever rounding says.
    low = float(middle - half) if hits else 0.0
    high = float(middle + half) if hits < of else 1.0
    return low, high


def normal_scores(values: Floats) -> Floats:
    """Turn values into the normal deviates of their ranks, so that none can dominate.

    Args:
        values: (n,); equal ones get the mean of their ranks.
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    scores: Floats = ndtri((ranks - 0.375) / (len(values) + 0.25))
    return scores


@dataclass(frozen=True)
class Rise:
    """How an objective rises towards one bound of one hyperparameter, the others held fast."""

    trend: float
    """Chance of a trend as steep, were there none."""

    still: float
    """Chance of a rise as steep three quarters of the way to the bound, were the optimum there."""

    step: float
    """By how much the quarter of the range at the bound is better than the quarter before it."""


@dataclass(frozen=True)
class _Surface:
    """An additive parabola in each hyperparameter: columns 1, x, x**2."""

    columns: Floats
    inverse: Floats
    free: int

    def fit(self, values: Floats) -> tuple[Floats, float]:
        """Give the coefficients and the residual standard deviation."""
        coefficients = self.inverse @ (self.columns.T @ values)
        rest = values - self.columns @ coefficients
        return coefficients, max(float(np.sqrt(rest @ rest / self.free)), 1e-12)

    def chance(self, values: Floats, contrast: Floats) -> float:
        """Give the one-sided chance of Student's t that a contrast is above 0 by luck."""
        coefficients, residual = self.fit(values)
        error = residual * float(np.sqrt(contrast @ self.inverse @ contrast))
        return float(stdtr(self.free, -(contrast @ coefficients) / max(error, 1e-12)))


def _surface(points: Floats) -> _Surface | None:
    count, width = points.shape
    free = count - 2 * width - 1
    if free < FREE:
        return None
    linear = points - 0.5
    columns = np.hstack([np.ones((count, 1)), linear, linear**2 - 1 / 12])
    return _Surface(columns, np.linalg.pinv(columns.T @ columns), free)


def _without_the_worst(scores: Floats) -> Floats:
    """Lift what is far below the median, since a setting that fails says little about the best."""
    top, median = float(scores.max()), float(np.median(scores))
    lifted: Floats = np.maximum(scores, top - 3 * (top - median))
    return lifted


def _step(along: Floats, scores: Floats) -> float:
    """Give by how much the last quarter of a range is better than the one before it."""
    last, before = scores[along >= STILL], scores[(along >= 2 * STILL - 1) & (along < STILL)]
    return float(last.mean() - before.mean()) if len(last) and len(before) else 0.0


def rises(points: Floats, scores: Floats) -> list[tuple[Rise, Rise]] | None:
    """Tell along which hyperparameters an objective rises up to a bound.

    A parabola in each hyperparameter is fitted, once to normal scores, which no failed trial can
    bend, for the trend; once to the objective itself, for the place of its optimum. An optimum
    inside may well give a trend, but no rise so near to the bound. A lopsided one bends the
    parabola, so the quarters of the range at the bound are compared as well.

    Args:
        points: (n, hyperparameters) in a unit cube.
        scores: (n,), more is better.

    Returns:
        For each hyperparameter the rise to its lower and to its upper bound; None where there are
        too few points to tell.
    """
    surface = _surface(points)
    if surface is None:
        return None
    ranks, real = normal_scores(scores), _without_the_worst(scores)
    width = points.shape[1]
    coefficients, _ = surface.fit(real)
    rest = real - surface.columns @ coefficients
    found = []
    for place in range(1, width + 1):
        own = [place, place + width]
        partial = rest + surface.columns[:, own] @ coefficients[own]
        sides = []
        for side in (-1.0, 1.0):
            trend = np.zeros(2 * width + 1)
            trend[place] = side
            still = trend.copy()
            still[place + width] = 2 * (STILL - 0.5)
            step = _step(points[:, place - 1] if side > 0 else 1 - points[:, place - 1], partial)
            sides.append(Rise(surface.chance(ranks, trend), surface.chance(real, still), step))
        found.append((sides[0], sides[1]))
    return found


@dataclass(frozen=True)
class Effect:
    """What a hyperparameter makes of an objective, the others held fast."""

    size: float
    """The largest difference between two values of it."""

    bound: float
    """What that difference hardly exceeds: a one-sided 95 % bound."""

    residual: float
    """Standard deviation of what no hyperparameter explains."""


def largest_effect(points: Floats, scores: Floats, place: int) -> Effect | None:
    """Tell how much a hyperparameter matters, by a parabola in each.

    Args:
        points: (n, hyperparameters) in a unit cube.
        scores: (n,), more is better.
        place: of the hyperparameter.

    Returns:
        None where there are too few points to tell.
    """
    surface = _surface(points)
    if surface is None:
        return None
    coefficients, residual = surface.fit(_without_the_worst(scores))
    width, along = points.shape[1], np.linspace(0, 1, 21) - 0.5
    shapes = np.zeros((len(along), 2 * width + 1))
    shapes[:, 1 + place], shapes[:, 1 + place + width] = along, along**2
    contrasts = shapes[:, None] - shapes[None]
    sizes = contrasts @ coefficients
    errors = residual * np.sqrt(np.einsum("ijk,kl,ijl->ij", contrasts, surface.inverse, contrasts))
    bound = float((sizes + stdtrit(surface.free, 0.95) * errors).max())
    return Effect(float(sizes.max()), bound, residual)


def spread(points: Floats, scores: Floats) -> float:
    """Give the standard deviation of an objective that the hyperparameters do not explain.

    Args:
        points: (n, hyperparameters) in a unit cube.
        scores: (n,), at least 2; too few for a surface give their plain standard deviation.
    """
    surface = _surface(points)
    real = _without_the_worst(scores)
    return surface.fit(real)[1] if surface else float(np.std(real, ddof=1))


def jitter(values: Floats) -> float:
    """Give the standard deviation of a curve from one value to the next, without its trend.

    Args:
        values: (n,), at least 10. Of its last two thirds the smaller second differences, so that a
            steep beginning or a spike counts little.
    """
    jumps: Floats = np.sort(np.abs(np.diff(values[len(values) // 3 :], 2)))
    kept = jumps[: int(SMALLER * len(jumps))]
    # Second differences have 6 times the variance of the noise.
    return float(kept.mean() / SMALLER_MEAN / np.sqrt(6))


def middle(values: Floats) -> Floats:
    """Give a curve's running median over 7 rows.

    Args:
        values: (n,).
    """
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, 3, mode="edge"), 7)
    medians: Floats = np.median(around, axis=1)
    return medians


def best_of(scores: Floats, draws: int, chance: float) -> float:
    """Give a quantile of the best of some trials drawn anew, as a bootstrap would in the limit.

    Args:
        scores: (n,), more is better.
        draws: how many are drawn, with replacement.
        chance: which quantile, in (0, 1).
    """
    order: Floats = np.sort(scores)
    at_most = (np.arange(1, len(order) + 1) / len(order)) ** draws
    return float(order[min(int(np.searchsorted(at_most, chance)), len(order) - 1)])


def swap_test(ours: Floats, theirs: Floats, top: int = 3) -> float:
    """Give the chance that our best trials lead theirs by as much, did the arms not differ.

    Points are exchanged between the arms at random.

    Args:
        ours: (points,), the same points in both; -inf where a trial has no score.
        theirs: likewise.
        top: how many of the best count.
    """
    both = np.stack([ours, theirs])
    top = min(top, int(np.isfinite(both).sum(axis=1).min()))
    if not top:
        return 1.0
    swapped = np.random.default_rng(0).random((SHUFFLES, len(ours))) < 0.5
    first, second = np.where(swapped, both[1], both[0]), np.where(swapped, both[0], both[1])

    def mean(scores: Floats) -> Floats:
        kept: Floats = np.sort(scores, axis=-1)[..., -top:].mean(axis=-1)
        return kept

    lead = mean(ours) - mean(theirs)
    with np.errstate(invalid="ignore"):
        shuffled = mean(first) - mean(second)
    higher = int((~(shuffled < lead - 1e-12)).sum())  # nan, an arm without enough, counts
    return (higher + 1) / (SHUFFLES + 1)
