"""Training curves of all trials, with the best few lifted out (playbook, D4)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.report.figures.style import (
    COLOURS,
    PALE,
    best_few,
    layout,
    thin,
)

__all__ = ["Curve", "CurvesInfo", "curves_figure", "curves_info", "losses_info"]

POINTS, MOST_POINTS = 200, 60_000
"""Points a curve, and of all curves of a figure: with many trials each gets fewer."""


class Curve(NamedTuple):
    """A metric over a trial's training."""

    trial: str
    arm: str
    column: str
    """Of metrics.csv."""

    steps: tuple[float, ...]
    values: tuple[float, ...]
    rank: int | None
    """From 1 for the lifted ones, None for the others."""


class CurvesInfo(NamedTuple):
    """What a figure of curves shows."""

    metric: str
    curves: tuple[Curve, ...]
    """The pale ones first, then the lifted ones, the best last."""

    steps: int
    """Of a whole training."""

    frame: tuple[float, float] | None
    """Lowest and highest value in the frame."""


def curve(
    rows: Sequence[Mapping[str, float]], column: str, most: int = POINTS
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give a column's finite values and their steps, thinned."""
    seen = [
        (row["step"], row[column])
        for row in rows
        if column in row and abs(row[column]) < float("inf")
    ]
    return thin([step for step, _ in seen], [value for _, value in seen], most)


def curves_info(evidence: Evidence, column: str | None = None) -> CurvesInfo:
    """Give every trial's curve of one metric.

    Args:
        evidence: the round.
        column: of metrics.csv; the objective, if None.
    """
    column = column or evidence.round.objective.metric
    ranks = {trial.trial: rank for rank, trial in enumerate(best_few(evidence), 1)}
    most = max(24, min(POINTS, MOST_POINTS // max(len(evidence.curves), 1)))
    found = []
    for trial in evidence.trials:
        rank = ranks.get(trial.trial)
        rows = evidence.curves.get(trial.trial, ())
        steps, values = curve(rows, column, POINTS if rank else most)
        if steps:
            found.append(Curve(trial.trial, trial.arm, column, steps, values, rank))
    found.sort(key=lambda one: -(one.rank or len(ranks) + 1))
    return CurvesInfo(column, tuple(found), evidence.round.training.steps, _frame(found))


def losses_info(evidence: Evidence) -> CurvesInfo:
    """Give every trial's training loss, and the validation loss of the lifted ones."""
    training = curves_info(evidence, "train/loss")
    validation = curves_info(evidence, "val/loss")
    both = (*training.curves, *(one for one in validation.curves if one.rank))
    return CurvesInfo("loss", both, evidence.round.training.steps, _frame(both))


def _frame(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """Frame the lifted curves after their first rise, and most of the others' ends."""
    lifted = [value for one in curves if one.rank for value in one.values[len(one.values) // 20 :]]
    ends = [one.values[-1] for one in curves]
    if not ends:
        return None
    low, high = np.quantile(ends, [0.1, 0.9])
    return float(min([low, *lifted])), float(max([high, *lifted]))


def curves_figure(info: CurvesInfo) -> go.Figure:
    """Draw curves: pale lines for all, coloured ones for the lifted; validation loss is dashed.

    Args:
        info: what to show.
    """
    low, high = info.frame or (0.0, 1.0)
    span = (high - low) or 1.0
    figure = go.Figure(
        layout=layout(
            "step",
            info.metric,
            xaxis={"range": [0, info.steps]},
            yaxis={"range": [low - 0.05 * span, high + 0.05 * span]},
        )
    )
    pale = [one for one in info.curves if one.rank is None]
    if pale:
        gap = [np.nan]
        figure.add_scatter(
            x=np.concatenate([[*one.steps, *gap] for one in pale]).astype(np.float32),
            y=np.concatenate([[*one.values, *gap] for one in pale]).astype(np.float32),
            mode="lines",
            name=f"{len(pale)} other trials",
            line={"color": PALE, "width": 1},
            opacity=0.55 if len(pale) < 200 else 0.3,
            hoverinfo="skip",
        )
    for one in info.curves:
        if one.rank is None:
            continue
        dashed = one.column == "val/loss" and info.metric != "val/loss"
        figure.add_scatter(
            x=np.array(one.steps, np.float32),
            y=np.array(one.values, np.float32),
            mode="lines",
            name=f"{one.rank}. {one.trial}",
            legendgroup=one.trial,
            showlegend=not dashed,
            legendrank=one.rank,
            line={
                "color": COLOURS[(one.rank - 1) % len(COLOURS)],
                "width": 2.2,
                "dash": "dot" if dashed else "solid",
            },
            hovertemplate=f"{one.trial}, {one.column}<br>step %{{x}}: %{{y:.4g}}<extra></extra>",
        )
    return figure
