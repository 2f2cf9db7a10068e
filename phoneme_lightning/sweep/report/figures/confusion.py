"""Which phones the best trial takes for which, and how well it does on each (playbook, H2)."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from phoneme_lightning.inference.confusion_file import Confusion
from phoneme_lightning.inference.pictures import broad_classes, top_confusions
from phoneme_lightning.phones import silence_in
from phoneme_lightning.sweep.report.figures.style import INK, layout

__all__ = ["ConfusionInfo", "PhoneRow", "confusion_figure", "confusion_info"]


class PhoneRow(NamedTuple):
    """How a phone fares."""

    phone: str
    frames: int
    """Labelled with it."""

    right: int
    recall: float | None
    """Of its frames; None where there are none."""

    precision: float | None
    """Of the frames predicted as it."""

    taken_for: str | None
    """The phone that it is most often taken for."""

    taken_share: float
    """Of its frames."""


class ConfusionInfo(NamedTuple):
    """What the confusion matrix and the table of phones show."""

    trial: str
    phones: tuple[str, ...]
    """Neighbours sound alike."""

    groups: tuple[int, ...]
    """How many of them make up each broad class, such as vowels."""

    percent: tuple[tuple[float | None, ...], ...]
    """Rows true, columns predicted: per cent of the true phone's frames; None for no frames."""

    rows: tuple[PhoneRow, ...]
    """The most frames first."""

    frames: int
    accuracy: float
    silence: float | None
    """Share of frames labelled as silence; None where no phone has its name."""

    top: tuple[tuple[str, str, float], ...]
    """The costliest mistakes: true, predicted, share of all wrong frames."""


def confusion_info(trial: str, confusion: Confusion, mistakes: int = 10) -> ConfusionInfo:
    """Read a confusion matrix.

    Args:
        trial: whose it is.
        confusion: the matrix.
        mistakes: how many of the costliest to name.
    """
    counts, phones = confusion.counts, confusion.phones
    groups = broad_classes(phones).values()
    order = [place for places in groups for place in places]
    silence = silence_in(phones)
    support, predicted = counts.sum(axis=1), counts.sum(axis=0)
    rows = []
    for phone, name in enumerate(phones):
        wrong = counts[phone].copy()
        wrong[phone] = 0
        most = int(wrong.argmax())
        right, frames = int(counts[phone, phone]), int(support[phone])
        rows.append(
            PhoneRow(
                name,
                frames,
                right,
                right / frames if frames else None,
                right / int(predicted[phone]) if predicted[phone] else None,
                phones[most] if wrong[most] else None,
                float(wrong[most] / frames) if frames else 0.0,
            )
        )
    ordered = counts[np.ix_(order, order)]
    totals = ordered.sum(axis=1)
    total = int(counts.sum())
    return ConfusionInfo(
        trial,
        tuple(phones[place] for place in order),
        tuple(map(len, groups)),
        tuple(
            tuple((100 * row / n).tolist()) if n else (None,) * len(phones)
            for row, n in zip(ordered, totals, strict=True)
        ),
        tuple(sorted(rows, key=lambda row: -row.frames)),
        total,
        float(np.trace(counts) / max(total, 1)),
        None if silence is None else float(support[silence] / max(total, 1)),
        tuple(top_confusions(counts, mistakes, phones)),
    )


def confusion_figure(info: ConfusionInfo) -> go.Figure:
    """Draw the confusion matrix, pale for none and dark for all of a phone's frames.

    Args:
        info: what to show.
    """
    # The root of a share: mistakes of a few per cent are what one looks for.
    shade = [
        [None if value is None else (value / 100) ** 0.45 for value in row] for row in info.percent
    ]
    marks = (0, 1, 5, 20, 50, 100)
    figure = go.Figure(
        layout=layout(
            "predicted phone",
            "true phone",
            height=680,
            xaxis={
                "type": "category",
                "tickangle": -90,
                "tickfont": {"size": 10},
                "dtick": 1,
                "showgrid": False,
            },
            yaxis={
                "type": "category",
                "autorange": "reversed",
                "tickfont": {"size": 10},
                "dtick": 1,
                "showgrid": False,
            },
        )
    )
    figure.add_heatmap(
        x=info.phones,
        y=info.phones,
        z=shade,
        text=[["" if value is None else f"{value:.1f}" for value in row] for row in info.percent],
        hovertemplate="%{y} taken for %{x}: %{text} % of its frames<extra></extra>",
        colorscale="BuPu",
        zmin=0,
        zmax=1,
        colorbar={
            "tickvals": [(mark / 100) ** 0.45 for mark in marks],
            "ticktext": [f"{mark} %" for mark in marks],
            "thickness": 10,
            "outlinewidth": 0,
            "len": 0.6,
        },
    )
    edge = -0.5
    for size in info.groups[:-1]:
        edge += size
        for line in (figure.add_hline, figure.add_vline):
            line(edge, line={"color": INK, "width": 0.6}, opacity=0.5)
    return figure
