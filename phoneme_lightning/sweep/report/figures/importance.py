"""How much each hyperparameter mattered, and how surely (playbook, 4.4)."""

from typing import NamedTuple

import plotly.graph_objects as go

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.importance import importances
from phoneme_lightning.sweep.leaderboard import short_names
from phoneme_lightning.sweep.report.figures.style import COLOURS, INK, layout, percent

__all__ = ["ImportanceBar", "ImportanceInfo", "importance_figure", "importance_info"]


class ImportanceBar(NamedTuple):
    """A hyperparameter, or the arm."""

    name: str
    share: float
    """Of all importance."""

    interval: tuple[float, float]
    """95 % of the shares when points are drawn again."""

    first: float
    """Share of those draws in which it mattered most."""


class ImportanceInfo(NamedTuple):
    """What the figure of importance shows."""

    points: int
    bars: tuple[ImportanceBar, ...]
    """The most important first; none where there are too few points."""


def importance_info(evidence: Evidence) -> ImportanceInfo:
    """Give how much each hyperparameter mattered for being in the better half of the points."""
    found = importances(evidence)
    if found is None:
        return ImportanceInfo(0, ())
    names = short_names(found.shares)
    bars = (
        ImportanceBar(names[key], share, found.intervals[key], found.first[key])
        for key, share in found.shares.items()
    )
    return ImportanceInfo(found.points, tuple(bars))


def importance_figure(info: ImportanceInfo) -> go.Figure:
    """Draw a bar a hyperparameter, the most important on top, with its interval.

    Args:
        info: what to show.
    """
    names = [bar.name for bar in info.bars]
    shares = [bar.share for bar in info.bars]
    figure = go.Figure(
        layout=layout(
            "share of what sets the better half apart",
            "",
            height=110 + 34 * len(names),
            xaxis={"range": [0, 1.02], "tickformat": ".0%"},
            yaxis={"autorange": "reversed", "showgrid": False},
        )
    )
    figure.add_bar(
        x=shares,
        y=names,
        orientation="h",
        width=0.6,
        marker={"color": COLOURS[0]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, bar.interval[1] - bar.share) for bar in info.bars],
            "arrayminus": [max(0.0, bar.share - bar.interval[0]) for bar in info.bars],
            "color": INK,
            "thickness": 1.4,
            "width": 5,
        },
        customdata=[
            [percent(one) for one in (bar.share, *bar.interval, bar.first)] for bar in info.bars
        ],
        hovertemplate="%{y}: %{customdata[0]} (%{customdata[1]} to %{customdata[2]})"
        "<br>first in %{customdata[3]} of the draws<extra></extra>",
        showlegend=False,
    )
    return figure
