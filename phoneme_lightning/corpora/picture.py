"""A picture of one utterance: its cepstra, its phones, and what a classifier made of them."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phoneme_lightning.corpora.store import FRAME_SHIFT_MS, Utterance
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import PHONES, kin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["MANNERS", "draw_utterance"]

MANNERS: dict[str, tuple[str, str]] = {
    "silence": ("#DDDDDD", "SIL SPN"),
    "vowel": ("#EEDD88", "IY IH EH AE AA AO AH UH UW ER EY AY OY AW OW"),
    "approximant": ("#BBCC33", "L R W Y"),
    "nasal": ("#44BB99", "M N NG"),
    "stop": ("#EE8866", "P B T D K G"),
    "affricate": ("#FFAABB", "CH JH"),
    "fricative": ("#77AADD", "F V TH DH S Z SH ZH HH"),
}
"""Manner of articulation -> colour and phones. The colours are Paul Tol's "light" scheme: made
to stand behind black text, and told apart by the colour-blind."""

_COLOURS = {phone: colour for colour, phones in MANNERS.values() for phone in phones.split()}
_FORMATS = (".png", ".pdf", ".svg")
_MISTAKE = "#AA1133"
_RANGE = 3.0  # standard deviations to either end of the colour scale

# Inches. The width is the text block of a page.
_WIDTH, _LEFT, _RIGHT = 7.2, 0.72, 0.08
_TITLE, _IMAGE, _BAND, _MARKS, _TICKS, _LEGEND = 0.34, 0.85, 0.25, 0.07, 0.34, 0.3
_SECONDS_A_ROW = 2.6  # more, and short phones could not bear their names


def _runs(classes: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Give the runs of equal frames as (first frame, frame after the last, class)."""
    edges = [0, *(np.flatnonzero(np.diff(classes)) + 1).tolist(), len(classes)]
    for start, stop in pairwise(edges):
        yield start, stop, int(classes[start])


def draw_utterance(
    utterance: Utterance,
    out: Path,
    *,
    predictions: np.ndarray | None = None,
    phones: Sequence[str] = PHONES,
) -> Path:
    """Draw an utterance, in rows of equal duration one under the other.

    Args:
        utterance: with or without labels.
        out: the picture; its ending says the format (.png, .pdf, .svg).
        predictions: (frames,), classes: a second band, with a mark wherever it leaves the labels.
        phones: the names of the classes.

    Returns:
        `out`.

    Raises:
        InputError: the ending of `out` is no format of a picture.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    if out.suffix not in _FORMATS:
        raise InputError(f"out is {out}, but must end in one of: {', '.join(_FORMATS)}")
    bands = {
        name: np.asarray(classes)
        for name, classes in (("labels", utterance.labels), ("predicted", predictions))
        if classes is not None
    }
    rows = math.ceil(_seconds(len(utterance.features)) / _SECONDS_A_ROW)
    row_height = _IMAGE + len(bands) * _BAND + _MARKS * (len(bands) == 2) + _TICKS
    height = _TITLE + rows * row_height + _LEGEND
    with rc_context({"font.size": 7, "font.family": "sans-serif", "axes.linewidth": 0.5}):
        figure = Figure(figsize=(_WIDTH, height), dpi=220)
        edges = np.linspace(0, len(utterance.features), rows + 1).round().astype(int)
        for row in range(rows):
            top = height - _TITLE - row * row_height
            start, stop = edges[row : row + 2]
            image = _draw_row(figure, top, utterance.features, bands, phones, start, stop)
        figure.text(_LEFT / _WIDTH, 1 - 0.2 / height, _title(utterance, bands), fontsize=8.5)
        _draw_scale(figure, image)
        if bands:
            _draw_legend(figure, marks=len(bands) == 2)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out)
    return out


def _title(utterance: Utterance, bands: dict[str, np.ndarray]) -> str:
    words = [utterance.id, f"speaker {utterance.speaker}"]
    if len(bands) == 2:
        known = bands["labels"] >= 0
        accuracy = (bands["labels"] == bands["predicted"])[known].mean()
        words.append(f"frame accuracy {accuracy:.1%}")
    elif "labels" not in bands:
        words.append("no labels")
    return "   ".join(words)


def _seconds(frame: float) -> float:
    return frame * FRAME_SHIFT_MS / 1000


def _axes(figure: "Figure", top: float, height: float, start: int, stop: int) -> "Axes":
    whole = figure.get_figheight()
    axes = figure.add_axes(
        (
            _LEFT / _WIDTH,
            (top - height) / whole,
            (_WIDTH - _LEFT - _RIGHT) / _WIDTH,
            height / whole,
        )
    )
    axes.set_xlim(_seconds(start), _seconds(stop))
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def _draw_row(
    figure: "Figure",
    top: float,
    features: np.ndarray,
    bands: dict[str, np.ndarray],
    phones: Sequence[str],
    start: int,
    stop: int,
) -> "AxesImage":
    from matplotlib.ticker import MultipleLocator

    axes = _axes(figure, top, _IMAGE, start, stop)
    coefficients = features.shape[1]
    image = axes.imshow(
        features[start:stop].T,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=-_RANGE,
        vmax=_RANGE,
        extent=(*axes.get_xlim(), -0.5, coefficients - 0.5),
    )
    axes.set_yticks([0, coefficients // 2, coefficients - 1])
    axes.set_ylabel("coefficient", labelpad=3)
    top -= _IMAGE
    for name, classes in bands.items():
        if name == "predicted" and "labels" in bands:
            axes = _axes(figure, top, _MARKS, start, stop)
            _draw_marks(axes, (classes != bands["labels"]) & (bands["labels"] >= 0))
            top -= _MARKS
        axes = _axes(figure, top, _BAND, start, stop)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=3)
        _draw_band(axes, classes, phones, start, stop)
        top -= _BAND
    axes.xaxis.set_major_locator(MultipleLocator(0.5))
    axes.xaxis.set_minor_locator(MultipleLocator(0.1))
    if stop == len(features):
        axes.set_xlabel("seconds", labelpad=1)
    return image


def _draw_band(
    axes: "Axes", classes: np.ndarray, phones: Sequence[str], start: int, stop: int
) -> None:
    inches = (_WIDTH - _LEFT - _RIGHT) / (stop - start)
    for first, after, phone in _runs(classes[start:stop]):
        name, left = (phones[phone] if phone >= 0 else "?"), start + first
        axes.axvspan(
            _seconds(left),
            _seconds(start + after),
            facecolor=_COLOURS.get(kin(name) or name, "white"),
            edgecolor="black",
            linewidth=0.3,
        )
        width = (after - first) * inches
        upright = width < 0.068 * len(name) + 0.03
        if after - first >= 2:  # a single frame has no room for a name
            axes.text(
                _seconds(left + (after - first) / 2),
                0.47,
                name,
                rotation=90 if upright else 0,
                fontsize=5.2 if upright else 7,
                ha="center",
                va="center",
                transform=axes.get_xaxis_transform(),
            )


def _draw_marks(axes: "Axes", wrong: np.ndarray) -> None:
    for first, after, mistaken in _runs(wrong):
        if mistaken:
            axes.axvspan(_seconds(first), _seconds(after), color=_MISTAKE, linewidth=0)


def _draw_legend(figure: "Figure", *, marks: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(fc=colour, ec="black", lw=0.3) for colour, _ in MANNERS.values()]
    names = list(MANNERS)
    if marks:
        handles, names = [*handles, Patch(fc=_MISTAKE)], [*names, "differs"]
    figure.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(_LEFT / _WIDTH, 0.02),
        ncols=len(names),
        frameon=False,
        fontsize=6.5,
        handlelength=0.9,
        handleheight=0.9,
        handletextpad=0.4,
        columnspacing=0.9,
        borderpad=0,
        borderaxespad=0,
    )


def _draw_scale(figure: "Figure", image: "AxesImage") -> None:
    top = 1 - 0.19 / figure.get_figheight()
    scale = figure.add_axes((0.8, top, 0.11, 0.06 / figure.get_figheight()))
    figure.colorbar(image, cax=scale, orientation="horizontal")
    scale.set_xticks([])
    figure.text(0.795, top, f"\N{MINUS SIGN}{_RANGE:g}", ha="right", fontsize=6.5)
    figure.text(0.915, top, f"+{_RANGE:g} std. dev.", fontsize=6.5)
