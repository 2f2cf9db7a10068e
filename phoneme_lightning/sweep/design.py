"""The design of a round, arms x points x seeds, known in full before anything runs."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.arms import Arm, Bucket, active_spaces, arms, holds
from phoneme_lightning.sweep.design_file import (
    Row,
    append_design,
    lock_design,
    read_design,
    write_design,
)
from phoneme_lightning.sweep.halton import grid, halton
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.spaces import Categorical, Int, Space

__all__ = [
    "Arm",
    "Bucket",
    "Row",
    "active_spaces",
    "append_design",
    "arms",
    "design",
    "lock_design",
    "read_design",
    "trial_name",
    "write_design",
]

LONGEST_SLUG = 60


def _slug(name: str) -> str:
    """Give a name as every file system takes it."""
    slug = re.sub(r"[^A-Za-z0-9.+=_]+", "-", name).strip("-.") or "arm"
    if len(slug) > LONGEST_SLUG:
        slug = f"{slug[: LONGEST_SLUG - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return slug


def _slugs(arms: Sequence[Arm]) -> dict[str, str]:
    """Give each arm a slug of its own, also where case counts for nothing."""
    slugs: dict[str, str] = {}
    taken: set[str] = set()
    for arm in arms:
        slug, number = _slug(arm.name), 1
        while slug.lower() in taken:
            number += 1
            slug = f"{_slug(arm.name)}-{number}"
        taken.add(slug.lower())
        slugs[arm.name] = slug
    return slugs


def trial_name(point: int, slug: str, seed: int) -> str:
    """Name a trial after its identity.

    Args:
        point: number of its point.
        slug: its arm's name as a file system takes it.
        seed: its seed.
    """
    return f"p{point:03d}-{slug}-s{seed}"


def _dimensions(round: Round) -> dict[str, Space]:
    """Give the hyperparameters that have a coordinate, in order, each with one of its spaces.

    A key has one coordinate whatever its ranges are, so that the arms share their points.
    """
    everywhere = [round.nuisance, *(conditional.nuisance for conditional in round.conditional)]
    ranges = {key: one.range for key, one in round.scientific.items() if one.range is not None}
    spaces: dict[str, Space] = {}
    for key, space in [pair for some in (*everywhere, ranges) for pair in some.items()]:
        spaces.setdefault(key, space)
    return spaces


def _coordinates(round: Round) -> list[dict[str, float]]:
    """Give the points of a round as coordinates by key."""
    spaces = _dimensions(round)
    if round.sampler.kind == "grid":
        sizes = [
            len(space.choices)
            if isinstance(space, Categorical)
            else space.high - space.low + 1
            if isinstance(space, Int)
            else math.inf
            for space in spaces.values()
        ]
        whole = [isinstance(space, Categorical) for space in spaces.values()]
        points = grid(round.budget.points, sizes, whole)
        # Levels that are even on a logarithmic scale may round to the same whole number.
        drawn = [
            str([one.at(x) for one, x in zip(spaces.values(), p, strict=True)]) for p in points
        ]
        points = list(dict(zip(drawn, points, strict=True)).values())
    else:
        points = halton(round.budget.points, len(spaces), round.sampler.seed)
    return [dict(zip(spaces, point, strict=True)) for point in points]


def _draw(round: Round, arm: Arm, point: Mapping[str, float]) -> dict[str, Any]:
    """Give the hyperparameters of an arm at a point."""
    values = dict(arm.values)
    for key, bucket in arm.ranges.items():
        values[key] = bucket.at(point[key])
    for key, space in round.nuisance.items():
        values[key] = space.at(point[key])
    for conditional in round.conditional:
        if holds(conditional, arm, values):
            for key, space in conditional.nuisance.items():
                values[key] = space.at(point[key])
    return values


def _listed(round: Round, arm: Arm, number: int) -> dict[str, Any]:
    """Give the hyperparameters of an arm at a point of a list."""
    point = round.sampler.points[number]
    values = {**arm.values, **{key: point[key] for key in round.nuisance if key in point}}
    for key in active_spaces(round, arm, {**arm.values, **point}):
        if key not in point:
            raise InputError(f"sampler.points[{number}].{key} is missing: arm {arm.name} has it")
        values[key] = point[key]
    return values


def design(round: Round) -> list[Row]:
    """Design a round: every arm at every point with every seed.

    The order is by point, then arm, then seed, so that a round stopped at any time is balanced.
    More points begin with the same rows, except on a grid.

    Returns:
        None for the samplers that choose each point by the results so far.

    Raises:
        InputError: a point of a list lacks a key.
    """
    if round.sampler.kind in ("gp", "tpe"):
        return []
    all_arms = arms(round)
    slugs = _slugs(all_arms)
    is_list = round.sampler.kind == "list"
    points = [] if is_list else _coordinates(round)
    rows = []
    for number in range(round.budget.points if is_list else len(points)):
        for arm in all_arms:
            values = _listed(round, arm, number) if is_list else _draw(round, arm, points[number])
            rows += [
                Row(trial_name(number, slugs[arm.name], seed), arm.name, number, seed, values)
                for seed in round.seeds
            ]
    return rows
