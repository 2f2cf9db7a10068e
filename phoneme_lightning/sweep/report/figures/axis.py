"""The basic axis plot: the objective against one hyperparameter, a mark a trial (playbook, D1)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go

from phoneme_lightning.sweep.arms import active_spaces, arms
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.leaderboard import short_names
from phoneme_lightning.sweep.report.figures.groups import Group, bucket_groups
from phoneme_lightning.sweep.report.figures.style import (
    INFEASIBLE,
    PALE,
    frame,
    is_log,
    layout,
    number,
    scored,
    ticks,
)
from phoneme_lightning.sweep.spaces import Categorical, Int, Log, Space, Uniform

__all__ = ["AxisInfo", "AxisPoint", "Failed", "axis_figure", "axis_info", "axis_keys"]


class AxisPoint(NamedTuple):
    """A completed trial."""

    trial: str
    arm: str
    x: Any
    y: float


class Failed(NamedTuple):
    """An infeasible trial."""

    trial: str
    arm: str
    x: Any
    cause: str


class AxisInfo(NamedTuple):
    """What an axis plot shows."""

    key: str
    name: str
    """The key's short name."""

    scale: Literal["linear", "log", "category"]
    metric: str
    mode: Literal["max", "min"]
    points: tuple[AxisPoint, ...]
    infeasible: tuple[Failed, ...]
    choices: tuple[str, ...]
    """Of a scale of categories, in the order of the round file."""

    bounds: tuple[tuple[float, float], ...]
    """(low, high) of each space that the key has in some arm."""

    frame: tuple[float, float] | None
    """Lowest and highest objective in the frame; what is worse is marked at its edge."""

    buckets: tuple[Group, ...]
    """The best of each part of the axis, whatever the arm."""


def spaces_of(evidence: Evidence) -> dict[str, list[Space]]:
    """Give the spaces of each hyperparameter that has one, in any arm."""
    round = evidence.round
    first = {trial.arm: trial.values for trial in reversed(evidence.trials)}
    found: dict[str, list[Space]] = {}
    for arm in arms(round):
        there = active_spaces(round, arm, first.get(arm.name, arm.values))
        for key, space in (*there.items(), *((k, b.space) for k, b in arm.ranges.items())):
            if space not in found.setdefault(key, []):
                found[key].append(space)
    # What holds for some choice of another hyperparameter only is no arm's, and comes last.
    for conditional in round.conditional:
        for key, space in conditional.nuisance.items():
            found.setdefault(key, [space])
    return found


def axis_keys(evidence: Evidence) -> list[str]:
    """Name the hyperparameters that varied and are not an arm's own value, in order."""
    spaces = spaces_of(evidence)
    seen: dict[str, set[str]] = {key: set() for key in spaces}
    for trial in evidence.trials:
        for key in spaces:
            if key in trial.values:
                seen[key].add(str(trial.values[key]))
    return [key for key, values in seen.items() if len(values) > 1]


def _scale(spaces: Sequence[Space]) -> Literal["linear", "log", "category"]:
    if any(isinstance(space, Categorical) for space in spaces):
        return "category"
    return "log" if any(is_log(space) for space in spaces) else "linear"


def axis_info(evidence: Evidence, key: str) -> AxisInfo:
    """Give what the axis plot of a hyperparameter shows.

    Args:
        evidence: the round.
        key: of the hyperparameter; trials that do not have it are left out.
    """
    objective, spaces = evidence.round.objective, spaces_of(evidence).get(key, [])
    scale = _scale(spaces)

    def place(value: Any) -> Any:
        return str(value) if scale == "category" else value

    having = [trial for trial in evidence.trials if key in trial.values]
    known = [one for space in spaces if isinstance(space, Categorical) for one in space.choices]
    choices = dict.fromkeys(map(place, (*known, *(trial.values[key] for trial in having))))
    points = tuple(
        AxisPoint(trial.trial, trial.arm, place(trial.values[key]), value)
        for trial in having
        if (value := scored(evidence, trial)) is not None
    )
    return AxisInfo(
        key,
        short_names(k for trial in evidence.trials for k in trial.values).get(key, key),
        scale,
        objective.metric,
        objective.mode,
        points,
        tuple(
            Failed(trial.trial, trial.arm, place(trial.values[key]), trial.cause or "infeasible")
            for trial in having
            if trial.state == "infeasible"
        ),
        tuple(choices) if scale == "category" else (),
        tuple(
            (space.low, space.high) for space in spaces if isinstance(space, Log | Uniform | Int)
        ),
        frame([point.y for point in points], objective.mode),
        bucket_groups(evidence, key, spaces[0]) if len(spaces) == 1 else (),
    )


def axis_figure(info: AxisInfo, colours: Mapping[str, str]) -> go.Figure:
    """Draw an axis plot: a mark a trial, red crosses where trials were infeasible.

    Args:
        info: what to show.
        colours: arm -> colour.
    """
    low, high = info.frame or (0.0, 1.0)
    span = (high - low) or abs(high) * 0.1 or 1.0
    bad = low - 0.10 * span if info.mode == "max" else high + 0.10 * span
    edge = low - 0.03 * span if info.mode == "max" else high + 0.03 * span
    edges = [bad - 0.05 * span, high + 0.06 * span]
    if info.mode == "min":
        edges = [low - 0.06 * span, bad + 0.05 * span]
    figure = go.Figure(layout=layout(info.name, info.metric, yaxis={"range": edges}))
    values = [p.x for p in info.points] + [f.x for f in info.infeasible]
    choices = info.choices
    names = list(dict.fromkeys(point.arm for point in info.points))

    def place(x: Any, arm: str = "") -> Any:
        if not choices:
            return x
        aside = names.index(arm) - (len(names) - 1) / 2 if arm in names else 0.0
        return choices.index(x) + aside * min(0.12, 0.6 / len(names))

    if choices:
        ends = [-0.6, len(choices) - 0.4]
        at = list(range(len(choices)))
        figure.update_xaxes(tickvals=at, ticktext=choices, range=ends, showgrid=False)
    else:
        within = [*values, *(bound for pair in info.bounds for bound in pair)]
        figure.update_xaxes(**ticks(within, info.scale == "log"))
    for bound in sorted({bound for pair in info.bounds for bound in pair}):
        figure.add_vline(bound, line={"color": PALE, "width": 1, "dash": "dot"})
    _draw_buckets(figure, info)
    for arm in names:
        mine = [point for point in info.points if point.arm == arm]
        inside = [low <= point.y <= high for point in mine]
        outside = "triangle-down" if info.mode == "max" else "triangle-up"
        figure.add_scatter(
            x=[place(point.x, arm) for point in mine],
            y=[point.y if fits else edge for point, fits in zip(mine, inside, strict=True)],
            mode="markers",
            name=arm,
            text=[
                f"{p.trial}<br>{info.name} {number(p.x)}<br>{info.metric} {number(p.y)}"
                for p in mine
            ],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": colours.get(arm, PALE),
                "size": 8,
                "opacity": 0.85,
                "symbol": ["circle" if fits else outside for fits in inside],
                "line": {"color": "white", "width": 0.7},
            },
        )
    if info.infeasible:
        figure.add_scatter(
            x=[place(failed.x, failed.arm) for failed in info.infeasible],
            y=[bad] * len(info.infeasible),
            mode="markers",
            name="infeasible",
            text=[
                f"{f.trial}<br>{info.name} {number(f.x)}<br>infeasible: {f.cause}"
                for f in info.infeasible
            ],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": INFEASIBLE,
                "size": 9,
                "symbol": "x-thin",
                "line": {"width": 2, "color": INFEASIBLE},
            },
        )
    return figure


def _draw_buckets(figure: go.Figure, info: AxisInfo) -> None:
    """Draw the best of each part of the axis behind the marks."""
    shown = [group for group in info.buckets if group.best is not None]
    if not shown:
        return
    figure.add_scatter(
        x=[x for group in shown for x in (*(group.span or ()), None)],
        y=[y for group in shown for y in (group.best, group.best, None)],
        mode="lines",
        name="best of each part",
        line={"color": PALE, "width": 5},
        opacity=0.55,
        hoverinfo="skip",
    )
