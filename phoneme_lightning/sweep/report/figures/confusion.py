"""Which phones the best trial takes for which, and how well it does on each (playbook, H2)."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from phoneme_lightning.inference.pictures import BROAD_CLASSES
from phoneme_lightning.phones import PHONES
from phoneme_lightning.sweep.report.figures.style import INK, layout

__all__ = ["ConfusionInfo", "PhoneRow", "confusion_figure", "confusion_info"]

ORDER = [PHONES.index(phone) for phones in BROAD_CLASSES.values() for phone in phones]
"""Neighbours sound alike."""


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
    percent: tuple[tuple[float | None, ...], ...]
    """Rows true, columns predicted: per cent of the true phone's frames; None for no frames."""

    rows: tuple[PhoneRow, ...]
    """The most frames first."""

    frames: int
    accuracy: float
    silence: float
    """Share of frames labelled as silence."""

    top: tuple[tuple[str, str, float], ...]
    """The costliest mistakes: true, predicted, share of all wrong frames."""


def confusion_info(trial: str, counts: np.ndarray, mistakes: int = 10) -> ConfusionInfo:
    """Read a confusion matrix.

    Args:
        trial: whose it is.
        counts: (41, 41), frames, rows true, columns predicted, in the numbering of PHONES.
        mistakes: how many of the costliest to name.
    """
    from phoneme_lightning.inference.pictures import top_confusions

    support, predicted = counts.sum(axis=1), counts.sum(axis=0)
    rows = []
    for phone, name in enumerate(PHONES):
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
                PHONES[most] if wrong[most] else None,
                float(wrong[most] / frames) if frames else 0.0,
            )
        )
    ordered = counts[np.ix_(ORDER, ORDER)]
    totals = ordered.sum(axis=1)
    total = int(counts.sum())
    return ConfusionInfo(
        trial,
        tuple(PHONES[place] for place in ORDER),
        tuple(
            tuple((100 * row / n).tolist()) if n else (None,) * len(PHONES)
            for row, n in zip(ordered, totals, strict=True)
        ),
        tuple(sorted(rows, key=lambda row: -row.frames)),
        total,
        float(np.trace(counts) / max(total, 1)),
        float(support[PHONES.index("SIL")] / max(total, 1)),
        tuple(top_confusions(counts, mistakes)),
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
    for phones in list(BROAD_CLASSES.values())[:-1]:
        edge += len(phones)
        for line in (figure.add_hline, figure.add_vline):
            line(edge, line={"color": INK, "width": 0.6}, opacity=0.5)
    return figure
