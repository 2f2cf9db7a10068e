"""Parallel coordinates: a line a trial through all its hyperparameters to its objective."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.leaderboard import short_names
from phoneme_lightning.sweep.report.figures.axis import axis_keys, spaces_of
from phoneme_lightning.sweep.report.figures.style import (
    INFEASIBLE,
    INK,
    frame,
    layout,
    number,
    scored,
)
from phoneme_lightning.sweep.spaces import Categorical, Space

__all__ = ["ParallelAxis", "ParallelInfo", "ParallelLine", "parallel_figure", "parallel_info"]

MISSING, FAILED = -0.12, -0.12
"""Where a line passes an axis on which its trial has no value, or ends that was infeasible."""

BANDS, MOST_LINES = 12, 300


class ParallelAxis(NamedTuple):
    """One of the upright axes, from 0 to 1."""

    name: str
    ticks: tuple[tuple[float, str], ...]


class ParallelLine(NamedTuple):
    """A trial."""

    trial: str
    places: tuple[float, ...]
    """On each axis."""

    shade: float | None
    """From 0, the worst in the frame, to 1, the best; None for an infeasible one."""


class ParallelInfo(NamedTuple):
    """What the parallel coordinates show."""

    axes: tuple[ParallelAxis, ...]
    """The arm (where there are several), the hyperparameters, the objective."""

    lines: tuple[ParallelLine, ...]
    """The better ones last, so that they lie on top; of many the best, and an even choice of the
    others."""


def _numbers_axis(name: str, space: Space, missing: bool) -> ParallelAxis:
    if isinstance(space, Categorical):
        ticks = [(space.coordinate(choice), str(choice)) for choice in space.choices]
    else:
        ticks = [(place, f"{space.at(place):.3g}") for place in (0.0, 0.5, 1.0)]
    return ParallelAxis(name, tuple([(MISSING, "not set")] * missing + ticks))


def parallel_info(evidence: Evidence) -> ParallelInfo:
    """Give the lines of all trials that completed or were infeasible."""
    keys, spaces, arms = axis_keys(evidence), spaces_of(evidence), evidence.arms()
    names = short_names(key for trial in evidence.trials for key in trial.values)
    objective = evidence.round.objective
    values = {
        trial.trial: value
        for trial in evidence.trials
        if (value := scored(evidence, trial)) is not None
    }
    low, high = frame(list(values.values()), objective.mode) or (0.0, 1.0)
    span = (high - low) or 1.0
    shown = [t for t in evidence.trials if t.trial in values or t.state == "infeasible"]
    lines = []
    for trial in shown:
        places = [(arms.index(trial.arm) + 0.5) / len(arms)] * (len(arms) > 1)
        for key in keys:
            places.append(_coordinate(spaces[key], trial.values, key))
        shade = None
        if trial.trial in values:
            height = min(max((values[trial.trial] - low) / span, 0.0), 1.0)
            shade = height if objective.mode == "max" else 1 - height
        places.append(FAILED if shade is None else height)
        lines.append(ParallelLine(trial.trial, tuple(places), shade))
    lines.sort(key=lambda line: -1 if line.shade is None else line.shade)
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        others = lines[:-half]
        lines = [*others[:: -(-len(others) // half)], *lines[-half:]]
    axes = []
    if len(arms) > 1:
        marks = tuple(((place + 0.5) / len(arms), arm) for place, arm in enumerate(arms))
        axes.append(ParallelAxis("arm", marks))
    for key in keys:
        missing = any(key not in trial.values for trial in shown)
        axes.append(_numbers_axis(names.get(key, key), spaces[key][0], missing))
    ends = [(place, number(low + place * span)) for place in (0.0, 0.5, 1.0)]
    failed = [(FAILED, "infeasible")] * any(line.shade is None for line in lines)
    axes.append(ParallelAxis(objective.metric, tuple(failed + ends)))
    return ParallelInfo(tuple(axes), tuple(lines))


def _coordinate(spaces: Sequence[Space], values: Mapping[str, Any], key: str) -> float:
    for space in spaces:
        if key in values and space.holds(values[key]):
            return float(space.coordinate(values[key]))
    return MISSING


def parallel_figure(info: ParallelInfo) -> go.Figure:
    """Draw parallel coordinates as plain lines, which need no WebGL and print sharp.

    Args:
        info: what to show.
    """
    last = len(info.axes) - 1
    figure = go.Figure(
        layout=layout(
            "",
            "",
            height=400,
            showlegend=False,
            margin={"l": 14, "r": 76, "t": 14, "b": 8},
            xaxis={"visible": False, "range": [-0.05, last + 0.02]},
            yaxis={"visible": False, "range": [-0.17, 1.14]},
        )
    )
    for band in (None, *range(BANDS)):
        mine = [line for line in info.lines if _band(line) == band]
        if not mine:
            continue
        x = [place for _ in mine for place in (*range(last + 1), np.nan)]
        y = [place for line in mine for place in (*line.places, np.nan)]
        colour = INFEASIBLE
        if band is not None:
            colour = sample_colorscale("Viridis_r", [0.05 + 0.9 * band / (BANDS - 1)])[0]
        figure.add_scatter(
            x=np.array(x, np.float32),
            y=np.array(y, np.float32),
            mode="lines",
            text=[line.trial for line in mine for _ in (*line.places, 0)],
            hovertemplate="%{text}<extra></extra>",
            opacity=0.35 if band is None else 0.25 + 0.6 * band / BANDS,
            line={"color": colour, "width": 1.0 if band is None else 1.0 + band / BANDS},
        )
    for place, axis in enumerate(info.axes):
        figure.add_shape(
            type="line", x0=place, x1=place, y0=-0.02, y1=1.02, line={"color": INK, "width": 1}
        )
        # The outer names lean inwards, so that a narrow window does not cut them.
        side = "left" if place == 0 else "right" if place == last else "center"
        figure.add_annotation(
            x=place,
            xanchor=side,
            xshift=72 if place == last else 0,
            y=1.05,
            yanchor="bottom",
            text=axis.name,
            showarrow=False,
            font={"size": 12, "color": INK},
        )
        for at, text in axis.ticks:
            figure.add_annotation(
                x=place,
                y=at,
                text=text,
                showarrow=False,
                xanchor="left",
                xshift=4,
                font={"size": 11, "color": INK},
                bgcolor="rgba(255,255,255,0.75)",
                borderpad=1,
            )
    return figure


def _band(line: ParallelLine) -> int | None:
    return None if line.shade is None else min(int(line.shade * BANDS), BANDS - 1)
