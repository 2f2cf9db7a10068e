"""Points spread evenly over a unit cube: scrambled Halton, and grids."""

import itertools
import math
from collections.abc import Sequence

__all__ = ["grid", "halton"]


def halton(points: int, dimensions: int, seed: int) -> list[list[float]]:
    """Draw points of the scrambled Halton sequence.

    More points begin with fewer points, and more dimensions leave the earlier coordinates as they
    were, so that a design can be extended either way.

    Returns:
        (points, dimensions) coordinates in [0, 1).
    """
    if not dimensions:
        return [[] for _ in range(points)]
    from scipy.stats import qmc

    # Here alone: `seed=` in place of `rng=` gives other points.
    drawn: list[list[float]] = (
        qmc.Halton(dimensions, scramble=True, rng=seed).random(points).tolist()
    )
    return drawn


def grid(points: int, sizes: Sequence[float], whole: Sequence[bool]) -> list[list[float]]:
    """Lay a grid over a unit cube, bounds included.

    Args:
        points: most points; fewer where no grid has so many, more where choices alone are more.
        sizes: for each dimension how many values it has; infinite for a real number.
        whole: for each dimension whether all its values are taken, as all choices are. The
            others get about equally many levels.

    Returns:
        (points of the grid, dimensions) coordinates in [0, 1].
    """
    levels = [int(size) if all_of else 1 for size, all_of in zip(sizes, whole, strict=True)]
    while True:
        room = [
            place
            for place, level in enumerate(levels)
            if level < sizes[place] and math.prod(levels) // level * (level + 1) <= points
        ]
        if not room:
            break
        levels[min(room, key=lambda place: levels[place])] += 1
    axes = [
        [(step + 0.5) / count for step in range(count)]
        if all_of or count == 1
        else [step / (count - 1) for step in range(count)]
        for count, all_of in zip(levels, whole, strict=True)
    ]
    return [list(corner) for corner in itertools.product(*axes)]
