"""The isolation plot: the best over everything else, for each value of one thing (playbook, D5)."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go

from phoneme_lightning.sweep.arms import arms
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.leaderboard import short_names
from phoneme_lightning.sweep.report.figures.groups import Group, make_group
from phoneme_lightning.sweep.report.figures.style import (
    PALE,
    frame,
    is_log,
    layout,
    number,
    scored,
    ticks,
)

__all__ = ["IsolationInfo", "isolation_figure", "isolation_info"]

REACH = 2.0
"""As `frame` has it: here one compares bests, so the frame is narrow."""


class IsolationInfo(NamedTuple):
    """What an isolation plot shows."""

    name: str
    metric: str
    mode: Literal["max", "min"]
    scale: Literal["category", "linear", "log"]
    """linear or log where the arms are the parts of a range."""

    groups: tuple[Group, ...]
    """The arms."""

    frame: tuple[float, float] | None
    """Lowest and highest objective in the frame; what is worse is marked at its edge."""


def isolation_info(evidence: Evidence) -> IsolationInfo:
    """Compare the arms: of each the best trial, and how much of it may be the luck of the draw."""
    objective = evidence.round.objective
    completed: dict[str, dict[str, float]] = {arm: {} for arm in evidence.arms()}
    for trial in evidence.trials:
        if (value := scored(evidence, trial)) is not None:
            completed[trial.arm][trial.trial] = value
    everything = [value for trials in completed.values() for value in trials.values()]
    fewest = min((len(trials) for trials in completed.values() if trials), default=0)
    name, scale, spans = _axis(evidence)
    return IsolationInfo(
        name,
        objective.metric,
        objective.mode,
        scale,
        tuple(
            make_group(arm, spans.get(arm), trials, fewest, objective.mode)
            for arm, trials in completed.items()
        ),
        frame(everything, objective.mode, REACH),
    )


def _axis(
    evidence: Evidence,
) -> tuple[str, Literal["category", "linear", "log"], dict[str, tuple[float, float]]]:
    """Give the axis that the arms stand on: name, scale, and of the parts of a range the ends."""
    scientific = evidence.round.scientific
    names = short_names(scientific)
    if len(scientific) != 1 or next(iter(scientific.values())).range is None:
        return " + ".join(names.values()) or "arm", "category", {}
    key = next(iter(scientific))
    parts = {arm.name: arm.ranges[key] for arm in arms(evidence.round)}
    log = any(is_log(part.space) for part in parts.values())
    spans = {arm: (float(part.at(0.0)), float(part.at(1.0))) for arm, part in parts.items()}
    return names[key], "log" if log else "linear", spans


def isolation_figure(info: IsolationInfo, colours: Mapping[str, str]) -> go.Figure:
    """Draw the isolation plot: every trial pale, the best of each group with its interval.

    Args:
        info: what to show.
        colours: arm -> colour.
    """
    bottom, top = info.frame or (0.0, 1.0)
    room = 0.06 * ((top - bottom) or 1.0)
    figure = go.Figure(
        layout=layout(
            info.name,
            info.metric,
            showlegend=False,
            yaxis={"range": [bottom - room, top + room]},
        )
    )
    shown = [group for group in info.groups if group.best is not None]
    outside = "triangle-down" if info.mode == "max" else "triangle-up"
    for place, group in zip(_places(figure, info.scale, shown), shown, strict=True):
        colour = colours.get(group.name, PALE)
        figure.add_scatter(
            x=[place] * len(group.values),
            y=[min(max(value, bottom - room / 2), top + room / 2) for value in group.values],
            mode="markers",
            text=[f"{t}<br>{number(v)}" for t, v in zip(group.trials, group.values, strict=True)],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": colour,
                "size": 7,
                "opacity": 0.35,
                "symbol": ["circle" if bottom <= v <= top else outside for v in group.values],
            },
        )
        _draw_best(figure, place, group, colour)
    return figure


def _draw_best(figure: go.Figure, place: float, group: Group, colour: str) -> None:
    assert group.best is not None
    assert group.interval is not None
    low, high = group.interval
    figure.add_scatter(
        x=[place],
        y=[group.best],
        mode="markers",
        hovertemplate=(
            f"{group.name}: best {number(group.best)}<br>mean of the best three "
            f"{number(group.top3)}<br>redrawn {number(low)} to {number(high)}<extra></extra>"
        ),
        marker={"color": colour, "size": 13, "symbol": "diamond"},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - group.best],
            "arrayminus": [group.best - low],
            "color": colour,
            "thickness": 2.5,
            "width": 10,
        },
    )


def _places(figure: go.Figure, scale: str, groups: Sequence[Group]) -> list[float]:
    """Give where groups stand on the axis, and mark it: side by side, or in their range."""
    spans = [group.span for group in groups if group.span]
    if scale == "category" or len(spans) < len(groups):
        figure.update_xaxes(
            tickvals=list(range(len(groups))),
            ticktext=[group.name for group in groups],
            range=[-0.7, len(groups) - 0.3],
            showgrid=False,
        )
        return [float(place) for place in range(len(groups))]
    figure.update_xaxes(**ticks([end for span in spans for end in span], scale == "log"))
    for span, group in zip(spans, groups, strict=True):
        figure.add_scatter(
            x=span,
            y=[group.best, group.best],
            mode="lines",
            line={"color": PALE, "width": 5},
            opacity=0.55,
            hoverinfo="skip",
        )
    return [float(np.sqrt(a * b)) if scale == "log" else (a + b) / 2 for a, b in spans]
