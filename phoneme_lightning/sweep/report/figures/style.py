"""What all figures share: colours, layout, the words on a number."""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import plotly.graph_objects as go

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.spaces import Int, Log, Space

__all__ = [
    "COLOURS",
    "GRID",
    "INFEASIBLE",
    "INK",
    "PALE",
    "arm_colours",
    "best_few",
    "frame",
    "is_log",
    "layout",
    "number",
    "percent",
    "scored",
    "thin",
    "ticks",
]

INK, GRID, PALE, INFEASIBLE = "#2b2f33", "#e6e7e9", "#b9bec5", "#c62828"

COLOURS = ("#2f6690", "#d98324", "#4f8a5b", "#7d5ba6", "#3a9ca6", "#a0724a", "#b05a86", "#6b7280")
"""Of arms and lifted trials; none of them red, which is for what failed."""


def arm_colours(evidence: Evidence) -> dict[str, str]:
    """Give each arm a colour, the same in every figure."""
    return {arm: COLOURS[place % len(COLOURS)] for place, arm in enumerate(evidence.arms())}


def scored(evidence: Evidence, trial: TrialRecord) -> float | None:
    """Give what ranks a completed trial; None where it has not completed or measured nothing."""
    if trial.state != "completed" or trial.measured is None:
        return None
    return trial.measured.by(evidence.round.objective.selection)


def best_few(evidence: Evidence, count: int = 3, most: int = 6) -> list[TrialRecord]:
    """Choose the trials to lift out: the best of all, and the best of each arm.

    Args:
        evidence: the round.
        count: how many of the best, whatever their arm.
        most: how many in all.
    """
    order = ranked(evidence.trials, evidence.round.objective)
    first: dict[str, TrialRecord] = {}
    for trial in order:
        first.setdefault(trial.arm, trial)
    chosen = {trial.trial for trial in (*order[:count], *first.values())}
    return [trial for trial in order if trial.trial in chosen][:most]


def frame(values: Sequence[float], mode: str, reach: float = 4.0) -> tuple[float, float] | None:
    """Choose what part of the objective a figure shows, so that the worst do not squash the best.

    Args:
        values: of all trials.
        mode: max or min, which is better.
        reach: how many times as far below the best as the median lies it goes at most.

    Returns:
        Lowest and highest; None without values.
    """
    if not values:
        return None
    best, worst = (max(values), min(values)) if mode == "max" else (min(values), max(values))
    far = reach * abs(best - median(values)) or abs(best - worst)
    edge = max(worst, best - far) if mode == "max" else min(worst, best + far)
    return min(edge, best), max(edge, best)


def thin(
    steps: Sequence[float], values: Sequence[float], most: int = 200
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Thin a curve so that its shape, its ends and its spikes stay.

    Of each of equally many neighbours the smallest and the largest are kept.

    Args:
        steps: of the points.
        values: of the points, as many.
        most: points to keep, at least 4.

    Returns:
        Steps and values that are left, in their order.
    """
    if len(values) <= most:
        return tuple(steps), tuple(values)
    inner, parts = range(1, len(values) - 1), (most - 2) // 2
    kept = {0, len(values) - 1}
    for part in range(parts):
        span = inner[part * len(inner) // parts : (part + 1) * len(inner) // parts]
        kept |= {min(span, key=values.__getitem__), max(span, key=values.__getitem__)}
    places = sorted(kept)
    return tuple(steps[p] for p in places), tuple(values[p] for p in places)


def percent(share: float) -> str:
    """Write a share of 1 in per cent."""
    return f"{100 * share:.0f} %"


def number(value: Any) -> str:
    """Write a number for people: four decimals from 0.01 to 100, four digits elsewhere."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    return f"{value:.4f}" if 0.01 <= abs(value) < 100 or value == 0 else f"{value:.4g}"


def ticks(values: Iterable[float], log: bool) -> dict[str, Any]:
    """Give an axis's ticks; a logarithmic one is marked at 1, 2 and 5, as plain numbers."""
    if not log:
        return {"type": "linear"}
    seen = [value for value in values if value > 0]
    low, high = (math.log10(min(seen)), math.log10(max(seen))) if seen else (0.0, 0.0)
    wide = high - low
    marks = (1,) if wide > 2.5 else (1, 2, 5) if wide > 0.7 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8)
    decades = range(math.floor(low) - 1, math.ceil(high) + 1)
    at = [mark * 10.0**decade for decade in decades for mark in marks]
    return {"type": "log", "tickvals": at, "ticktext": [f"{value:g}" for value in at]}


def is_log(space: Space) -> bool:
    """Tell whether a space is even on a logarithmic scale."""
    return isinstance(space, Log) or (isinstance(space, Int) and space.log)


def layout(x: str, y: str, height: int = 380, **more: Any) -> go.Layout:
    """Give the layout of every figure.

    Args:
        x: title of the horizontal axis.
        y: title of the vertical axis.
        height: in pixels.
        more: keys of plotly's layout; `xaxis` and `yaxis` are added to.
    """
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": PALE, "automargin": True}
    return go.Layout(
        height=height,
        template=None,
        xaxis={**axis, "title": {"text": x, "standoff": 8}, **more.pop("xaxis", {})},
        yaxis={**axis, "title": {"text": y, "standoff": 8}, **more.pop("yaxis", {})},
        font={
            "family": "system-ui, -apple-system, Segoe UI, sans-serif",
            "size": 12.5,
            "color": INK,
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin=more.pop("margin", {"l": 50, "r": 14, "t": 14, "b": 44}),
        hoverlabel={"bgcolor": "white", "bordercolor": PALE, "font": {"color": INK}},
        hovermode="closest",
        **more,
    )
