"""How good the best of m trials is: what more of them bought, arm by arm (playbook, C8)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.statistics import best_of
from phoneme_lightning.sweep.report.figures.style import frame, layout, scored

__all__ = ["BudgetInfo", "BudgetLine", "budget_figure", "budget_info"]

QUANTILES = (0.25, 0.5, 0.75)

MOST_BANDS = 4
"""Arms whose bands are drawn: more of them only hide one another."""


class BudgetLine(NamedTuple):
    """An arm: what the best of m of its trials is, for m from 1 to all of them."""

    arm: str
    m: tuple[int, ...]
    low: tuple[float | None, ...]
    """A quarter of the draws are worse; None where that draw has no feasible trial."""

    middle: tuple[float | None, ...]
    high: tuple[float | None, ...]


class BudgetInfo(NamedTuple):
    """What the figure of best-of-m shows."""

    metric: str
    lines: tuple[BudgetLine, ...]
    frame: tuple[float, float] | None
    """Lowest and highest objective in the frame."""


def budget_info(evidence: Evidence) -> BudgetInfo:
    """Give the best of m trials of each arm; an infeasible trial is a draw that was lost."""
    objective = evidence.round.objective
    sign = 1.0 if objective.mode == "max" else -1.0
    lines, everything = [], []
    for arm in evidence.arms():
        values = []
        for trial in evidence.trials:
            value = scored(evidence, trial)
            if trial.arm == arm and (value is not None or trial.state == "infeasible"):
                values.append(-np.inf if value is None else sign * value)
        if not np.isfinite(values).any():
            continue
        ordered = np.sort(values)
        m = tuple(range(1, len(ordered) + 1))
        bands = [
            tuple(
                sign * best if np.isfinite(best := best_of(ordered, one, quantile)) else None
                for one in m
            )
            for quantile in QUANTILES
        ]
        lines.append(BudgetLine(arm, m, *bands))
        everything += [sign * value for value in values if np.isfinite(value)]
    return BudgetInfo(objective.metric, tuple(lines), frame(everything, objective.mode, 2.0))


def budget_figure(info: BudgetInfo, colours: Mapping[str, str]) -> go.Figure:
    """Draw the best of m: a line a arm, the middle half of the draws shaded.

    Args:
        info: what to show.
        colours: arm -> colour.
    """
    low, high = info.frame or (0.0, 1.0)
    span = (high - low) or 1.0
    figure = go.Figure(
        layout=layout(
            "points drawn",
            f"best {info.metric}",
            height=340,
            yaxis={"range": [low - 0.05 * span, high + 0.05 * span]},
        )
    )
    for line in info.lines:
        colour = colours[line.arm]
        whole = [
            place
            for place in range(len(line.m))
            if line.low[place] is not None and line.high[place] is not None
        ]
        there = [line.m[place] for place in whole]
        banded = len(info.lines) <= MOST_BANDS
        figure.add_scatter(
            visible=banded,
            x=[*there, *reversed(there)],
            y=[*(line.high[p] for p in whole), *(line.low[p] for p in reversed(whole))],
            fill="toself",
            fillcolor=colour,
            opacity=0.18,
            mode="none",
            legendgroup=line.arm,
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=line.m,
            y=line.middle,
            mode="lines+markers" if len(line.m) <= 3 else "lines",
            name=line.arm,
            legendgroup=line.arm,
            line={"color": colour, "width": 2.2},
            hovertemplate=f"{line.arm}: best of %{{x}}<br>%{{y:.4g}}<extra></extra>",
        )
    return figure
