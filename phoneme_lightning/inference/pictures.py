"""Pictures for a report: which phones are taken for which, and how a fit went.

Matplotlib is imported only where a picture is drawn, and never opens a window.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import PHONES, kin
from phoneme_lightning.training.curves import read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BROAD_CLASSES", "broad_classes", "plot_confusion", "plot_curves", "top_confusions"]

BROAD_CLASSES: Mapping[str, tuple[str, ...]] = {
    name: tuple(phones.split())
    for name, phones in {
        "vowels": "IY IH EH AE AA AO OW UH UW AH ER EY AY OY AW",
        "glides": "Y W R L HH",
        "nasals": "M N NG",
        "fricatives": "F V TH DH S Z SH ZH",
        "stops": "P B T D K G CH JH",
        "silence": "SIL SPN",
    }.items()
}
"""The order of phones in pictures: neighbours sound alike. HH stands with the glides, the
affricates CH and JH with the stops."""

_TRAIN, _VALIDATION = "#7f9fc4", "#b3261e"


def top_confusions(
    confusion: np.ndarray, count: int, phones: Sequence[str] = PHONES
) -> list[tuple[str, str, float]]:
    """Name the mistakes that cost the most frames.

    Args:
        confusion: (classes, classes), frames, rows true, columns predicted.
        count: how many mistakes at most.
        phones: the names of the classes.

    Returns:
        For each the true phone, the predicted phone, and how much of all wrong frames it makes up.
    """
    wrong = np.array(confusion, dtype=float)
    np.fill_diagonal(wrong, 0)
    largest = np.argsort(-wrong, axis=None, kind="stable")[:count]
    return [
        (phones[place // len(phones)], phones[place % len(phones)], wrong.flat[place] / wrong.sum())
        for place in largest
        if wrong.flat[place] > 0
    ]


def broad_classes(phones: Sequence[str]) -> dict[str, list[int]]:
    """Give the classes of each broad class that has any, neighbours sounding alike.

    Args:
        phones: the names of the classes; those of which nothing is known become "others".
    """
    order = [phone for members in BROAD_CLASSES.values() for phone in members]
    groups = {
        name: sorted(
            (place for place, phone in enumerate(phones) if kin(phone) in members),
            key=lambda place: order.index(kin(phones[place]) or ""),
        )
        for name, members in BROAD_CLASSES.items()
    }
    groups["others"] = [place for place, phone in enumerate(phones) if kin(phone) is None]
    return {name: places for name, places in groups.items() if places}


def plot_confusion(confusion: np.ndarray, path: str | Path, phones: Sequence[str] = PHONES) -> None:
    """Draw which phones are taken for which, and list the costliest mistakes beside.

    Args:
        confusion: (classes, classes), frames, rows true, columns predicted.
        path: the picture, in a format that its suffix names (.png, .pdf, .svg).
        phones: the names of the classes.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    confusion = np.asarray(confusion, dtype=float)
    groups = broad_classes(phones)
    order = [place for places in groups.values() for place in places]
    ordered = confusion[np.ix_(order, order)]
    totals = ordered.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        shares = np.ma.masked_invalid(100 * ordered / totals)

    figure = Figure(figsize=(10.4, 8.0))
    axes = figure.add_axes((0.07, 0.08, 0.665, 0.8645))
    # A root instead of a straight scale: mistakes of a few percent are what one looks for.
    image = axes.imshow(shares, cmap="BuPu", norm=PowerNorm(0.45, 0, 100))
    axes.set_facecolor("#dddddd")
    names = [phones[place] for place in order]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=7.5)
    axes.set(xlabel="predicted phone", ylabel="true phone")
    _mark_broad_classes(axes, groups)

    scale = figure.add_axes((0.775, 0.085, 0.2, 0.018))
    bar = figure.colorbar(image, cax=scale, orientation="horizontal", ticks=[0, 1, 5, 20, 50, 100])
    bar.set_label("% of the true phone's frames", size=8.5)
    bar.ax.tick_params(labelsize=7.5)
    accuracy = f"{100 * np.trace(confusion) / confusion.sum():.1f} % of frames right"
    figure.text(0.77, 0.93, accuracy, size=13)
    figure.text(0.77, 0.905, f"{confusion.sum():,.0f} frames", size=9)
    figure.text(0.77, 0.86, "true → predicted, % of all mistakes", size=8.5)
    costliest = top_confusions(confusion, 30, phones)
    lines = [f"{a:>3} → {b:<3}  {100 * c:4.1f}" for a, b, c in costliest]
    figure.text(
        0.77, 0.845, "\n".join(lines), family="monospace", size=8.5, va="top", linespacing=1.4
    )
    _save(figure, path)


def _mark_broad_classes(axes: "Axes", groups: Mapping[str, Sequence[int]]) -> None:
    """Part the broad classes by lines and name them above the matrix."""
    edge = -0.5
    for name, places in groups.items():
        middle = edge + len(places) / 2
        axes.text(middle, -0.9, name, ha="center", va="bottom", size=8.5, style="italic")
        edge += len(places)
        axes.axhline(edge, color="#555555", linewidth=0.6)
        axes.axvline(edge, color="#555555", linewidth=0.6)


def plot_curves(metrics: str | Path, path: str | Path) -> None:
    """Draw loss and frame accuracy against optimizer steps, in training and in validation.

    Args:
        metrics: a fit's metrics.csv.
        path: the picture, in a format that its suffix names (.png, .pdf, .svg).

    Raises:
        InputError: there is no row in `metrics`.
    """
    from matplotlib.figure import Figure

    rows = read_metrics(metrics)
    if not rows:
        raise InputError(f"{metrics} holds no metrics: give the metrics.csv of a fit")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, metric, label in zip(
        panels, ("loss", "frame_accuracy"), ("cross-entropy", "frame accuracy"), strict=True
    ):
        for stage, title, style in (
            ("train", "training", {"color": _TRAIN, "linewidth": 1}),
            ("val", "validation", {"color": _VALIDATION, "linewidth": 1.6, "marker": ".", "ms": 6}),
        ):
            points = [
                (row["step"], row[name]) for row in rows if (name := f"{stage}/{metric}") in row
            ]
            if points:
                axes.plot(*zip(*points, strict=True), label=title, **style)
        axes.set(xlabel="optimizer steps", ylabel=label)
        axes.grid(color="#e5e5e5")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    _save(figure, path)


def _save(figure: "Figure", path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)
