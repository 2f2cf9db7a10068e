"""What a probe found: throughput against batch size, and curves that break or reach a line."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import plotly.graph_objects as go

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.report.figures.style import (
    COLOURS,
    GRID,
    INFEASIBLE,
    INK,
    PALE,
    layout,
    thin,
    ticks,
)

__all__ = [
    "BatchInfo",
    "Line",
    "LinesInfo",
    "accuracies_info",
    "batch_figure",
    "batch_info",
    "lines_figure",
    "losses_info",
]

POINTS = 400

HEADROOM = 1.5
"""How many times as high as at the beginning a loss is still in the frame."""


class _Size(Protocol):
    """A batch size as it was measured."""

    @property
    def frames_per_batch(self) -> int: ...
    @property
    def frames(self) -> float: ...
    @property
    def frames_per_second(self) -> float: ...
    @property
    def seconds_a_step(self) -> float: ...


class BatchInfo(NamedTuple):
    """What the figure of batch sizes shows."""

    frames: tuple[float, ...]
    """Real frames a batch."""

    frames_per_second: tuple[float, ...]
    seconds_a_step: tuple[float, ...]
    healthy: tuple[float, ...]
    """Frames a second if a step of any size took as long as one of the smallest."""

    knee: float
    """Real frames a batch above which it gets hardly faster."""

    advised: int
    """The same, as it was asked for."""

    ended: str
    """Why no larger size was measured."""


class Line(NamedTuple):
    """A training of a probe."""

    arm: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    """Thinned."""

    mark: int | None
    """Step at which it broke, or reached the line."""


class LinesInfo(NamedTuple):
    """What a figure of a probe's trainings shows."""

    metric: str
    lines: tuple[Line, ...]
    frame: tuple[float, float]
    goal: float | None
    """Value that the trainings are to reach."""


def batch_info(sizes: Sequence[_Size], knee: int, ended: str) -> BatchInfo:
    """Give the figure of batch sizes its numbers.

    Args:
        sizes: as measured, the smallest first.
        knee: the size, as it was asked for, above which it gets hardly faster.
        ended: why no larger size was measured.
    """
    frames = tuple(size.frames for size in sizes)
    first = sizes[0].frames_per_second / sizes[0].frames
    return BatchInfo(
        frames,
        tuple(size.frames_per_second for size in sizes),
        tuple(size.seconds_a_step for size in sizes),
        tuple(first * one for one in frames),
        next(size.frames for size in sizes if size.frames_per_batch == knee),
        knee,
        ended,
    )


def batch_figure(info: BatchInfo) -> go.Figure:
    """Draw throughput against batch size, and below it the time of a step.

    Args:
        info: what to show.
    """
    top = 1.3 * max(info.frames_per_second)
    throughput = [min(info.frames_per_second) / 1.3, top]
    figure = go.Figure(
        layout=layout(
            "frames a batch",
            "frames a second",
            height=460,
            xaxis={**ticks(info.frames, log=True), "anchor": "y2"},
            yaxis={
                **ticks(throughput, log=True),
                "domain": [0.42, 1],
                "range": np.log10(throughput).tolist(),
            },
            yaxis2={
                **ticks(info.seconds_a_step, log=True),
                "domain": [0, 0.34],
                "title": {"text": "seconds a step"},
                "gridcolor": GRID,
                "automargin": True,
            },
        )
    )
    figure.add_scatter(
        x=info.frames, y=info.healthy, mode="lines", name="if a step always took as long",
        line={"color": PALE, "dash": "dash", "width": 1.5}, hoverinfo="skip",
    )  # fmt: skip
    for values, axis, name in (
        (info.frames_per_second, "y", "frames a second"),
        (info.seconds_a_step, "y2", "seconds a step"),
    ):
        figure.add_scatter(
            x=info.frames, y=values, yaxis=axis, mode="lines+markers", name=name,
            line={"color": COLOURS[0 if axis == "y" else 1], "width": 2},
            hovertemplate=f"%{{x:,.0f}} frames a batch<br>%{{y:.4g}} {name}<extra></extra>",
        )  # fmt: skip
    figure.add_vline(info.knee, line={"color": INK, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=float(np.log10(info.knee)), y=0, yref="y domain", yanchor="bottom", xanchor="right",
        text=f"hardly faster above {info.advised:,} ", showarrow=False,
        font={"size": 11, "color": INK},
    )  # fmt: skip
    figure.add_annotation(
        x=1, xref="paper", xanchor="right", y=0.36, yref="paper", text=f"ended: {info.ended}",
        showarrow=False, font={"size": 11, "color": INK},
    )  # fmt: skip
    return figure


def losses_info(evidence: Evidence, breaks: Mapping[str, int | None]) -> LinesInfo:
    """Give the training losses of a probe's trials.

    Args:
        evidence: the probe's round.
        breaks: arm -> step at which it broke, None where it did not.
    """
    lines = []
    for trial in evidence.trials:
        steps, values = evidence.curve(trial, "train/loss")
        lines.append(
            Line(trial.arm, *thin(steps.tolist(), values.tolist(), POINTS), breaks[trial.arm])
        )
    seen = [value for line in lines for value in line.values] or [0.0, 1.0]
    first = max((line.values[0] for line in lines if line.values), default=1.0)
    frame = 0.97 * min(seen), min(1.03 * max(seen), HEADROOM * first)
    return LinesInfo("training loss", tuple(lines), frame, None)


def accuracies_info(
    evidence: Evidence, window: int, goal: float, reached: Mapping[str, int | None]
) -> LinesInfo:
    """Give the training accuracies of a probe's trials, each the mean over an epoch.

    Args:
        evidence: the probe's round.
        window: batches of an epoch.
        goal: accuracy that counts as a perfect fit.
        reached: arm -> step at which it was there, None where it never was.
    """
    lines = []
    for trial in evidence.trials:
        steps, values = evidence.curve(trial, "train/frame_accuracy")
        width = max(1, min(window, len(values)))
        means = np.convolve(values, np.full(width, 1 / width), "valid") if len(values) else values
        points = thin(steps[len(steps) - len(means) :].tolist(), means.tolist(), POINTS)
        lines.append(Line(trial.arm, *points, reached[trial.arm]))
    return LinesInfo("training accuracy over an epoch", tuple(lines), (0.0, 1.02), goal)


def lines_figure(info: LinesInfo) -> go.Figure:
    """Draw the trainings of a probe; a cross marks a break, a dot that the goal was reached.

    Args:
        info: what to show.
    """
    figure = go.Figure(
        layout=layout("step", info.metric, height=460, yaxis={"range": list(info.frame)})
    )
    for place, line in enumerate(info.lines):
        colour = COLOURS[place % len(COLOURS)]
        figure.add_scatter(
            x=line.steps, y=line.values, mode="lines", name=line.arm,
            line={"color": colour, "width": 1.6},
            hovertemplate=f"{line.arm}<br>step %{{x}}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
        if line.mark is not None and line.steps:
            at = int(np.searchsorted(line.steps, line.mark))
            figure.add_scatter(
                x=[line.mark], y=[line.values[min(at, len(line.values) - 1)]], mode="markers",
                showlegend=False, hoverinfo="skip",
                marker={"symbol": "circle", "size": 9, "color": colour} if info.goal is not None
                else {"symbol": "x-thin", "size": 11, "line": {"color": INFEASIBLE, "width": 2.5}},
            )  # fmt: skip
    if info.goal is not None:
        figure.add_hline(info.goal, line={"color": INK, "width": 1, "dash": "dot"})
    return figure
