"""Norms of the gradients as they were before clipping, over training and in sum (playbook, G3)."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.gradients import clip_of
from phoneme_lightning.sweep.report.figures.curves import POINTS, curve
from phoneme_lightning.sweep.report.figures.style import (
    COLOURS,
    INK,
    best_few,
    layout,
    number,
    ticks,
)

__all__ = ["GradientCurve", "GradientsInfo", "gradients_figure", "gradients_info"]

COLUMN = "train/grad_norm"


class GradientCurve(NamedTuple):
    """The norms of a trial's gradients."""

    trial: str
    rank: int
    steps: tuple[float, ...]
    norms: tuple[float, ...]
    """Thinned; the quantiles are of all."""

    p50: float
    p90: float
    """What the playbook would clip at."""

    p99: float
    largest: float


class GradientsInfo(NamedTuple):
    """What the figure of gradient norms shows."""

    curves: tuple[GradientCurve, ...]
    """Of the lifted trials, the best first."""

    edges: tuple[float, ...]
    """Of the bins of the best trial's histogram, even on a logarithmic scale."""

    counts: tuple[int, ...]

    clip: float | None = None
    """Norm that the best trial's gradients were clipped at."""


def gradients_info(evidence: Evidence) -> GradientsInfo:
    """Give the gradient norms of the lifted trials, as far as they were recorded and above 0."""
    found = []
    pooled: np.ndarray | None = None
    clip: float | None = None
    for rank, trial in enumerate(best_few(evidence), 1):
        rows = [row for row in evidence.curves.get(trial.trial, ()) if row.get(COLUMN, 0) > 0]
        steps, norms = curve(rows, COLUMN, POINTS)
        if not norms:
            continue
        all_norms = np.array([row[COLUMN] for row in rows if row[COLUMN] < float("inf")])
        quantiles = np.quantile(all_norms, [0.5, 0.9, 0.99, 1.0]).tolist()
        found.append(GradientCurve(trial.trial, rank, steps, norms, *quantiles))
        if pooled is None:
            pooled, clip = all_norms, clip_of(evidence, trial)
    if pooled is None:
        return GradientsInfo((), (), ())
    edges = np.geomspace(pooled.min(), pooled.max() * (1 + 1e-9), 17)
    counts = np.histogram(pooled, edges)[0]
    return GradientsInfo(tuple(found), tuple(edges.tolist()), tuple(counts.tolist()), clip)


def gradients_figure(info: GradientsInfo) -> go.Figure:
    """Draw gradient norms against steps, and the best trial's as a histogram at the side.

    Args:
        info: what to show.
    """
    norms = [norm for one in info.curves for norm in one.norms]
    axis = ticks(norms, log=True)
    figure = go.Figure(
        layout=layout(
            "step",
            "gradient norm",
            xaxis={"domain": [0, 0.78]},
            yaxis=axis,
            xaxis2={"domain": [0.82, 1], "showticklabels": False, "showgrid": False},
            bargap=0.05,
        )
    )
    for one in reversed(info.curves):
        figure.add_scatter(
            x=np.array(one.steps, np.float32),
            y=np.array(one.norms, np.float32),
            mode="lines",
            name=f"{one.rank}. {one.trial}",
            legendrank=one.rank,
            opacity=1 if one.rank == 1 else 0.6,
            line={"color": COLOURS[(one.rank - 1) % len(COLOURS)], "width": 1.4},
            hovertemplate=f"{one.trial}<br>step %{{x}}: %{{y:.3g}}<extra></extra>",
        )
    if info.curves:
        p90 = info.curves[0].p90
        _mark(figure, p90, f"90 % lie below {number(p90)}", "right", "dot")
        if info.clip and min(norms) <= info.clip <= max(norms):
            _mark(figure, info.clip, f"clipped at {number(info.clip)}", "left", "dash")
        middles = np.sqrt(np.array(info.edges[1:]) * np.array(info.edges[:-1]))
        figure.add_scatter(
            x=[0, *info.counts, 0],
            y=[info.edges[0], *middles, info.edges[-1]],
            xaxis="x2",
            fill="tozerox",
            mode="lines",
            line={"color": COLOURS[0], "width": 1, "shape": "spline", "smoothing": 0.4},
            showlegend=False,
            hoverinfo="skip",
        )
    return figure


def _mark(figure: go.Figure, norm: float, text: str, side: str, dash: str) -> None:
    """Draw a line at a norm, and say at one side what it is."""
    figure.add_hline(norm, line={"color": INK, "width": 1, "dash": dash})
    figure.add_annotation(
        x=0.995 if side == "right" else 0.005,
        xref="x domain",
        xanchor=side,
        y=float(np.log10(norm)),  # plotly wants the logarithm here, but not of a line
        yanchor="bottom",
        text=text,
        showarrow=False,
        font={"size": 11, "color": INK},
        bgcolor="rgba(255,255,255,0.8)",
    )
