"""A picture of a transcript's begin: spectrogram, segments, probabilities of the phones."""

import io
import math
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phoneme_lightning.corpora.audio import FRAME_SAMPLES, SAMPLE_RATE, SHIFT_SAMPLES
from phoneme_lightning.corpora.picture import MANNERS
from phoneme_lightning.inference.pictures import BROAD_CLASSES
from phoneme_lightning.inference.segments import Segment
from phoneme_lightning.inference.transcriber import Begin
from phoneme_lightning.inference.transcripts import Transcript
from phoneme_lightning.phones import kin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_transcript"]

_COLOURS = {phone: colour for colour, phones in MANNERS.values() for phone in phones.split()}
_ORDER = [phone for phones in BROAD_CLASSES.values() for phone in phones]
_LEAST_PROBABLE = 0.2
"""A phone that never reaches this probability is not drawn: most of 41 do not occur in a breath."""

# Inches. The width is the text block of a page.
_WIDTH, _LEFT, _RIGHT = 7.2, 0.62, 0.08
_TITLE, _SOUND, _BAND, _PHONE, _TICKS = 0.34, 0.95, 0.22, 0.065, 0.36
_SECONDS_A_ROW = 3.4  # more, and short phones could not bear their names
_WINDOW, _STEP, _LENGTH = 128, 32, 512  # samples; 8 ms are short enough to see the glottis
_DEEP = 65.0  # dB from the loudest to white
_DPI = 185
_GREYS, _COLOURS_IN_ALL = 16, 128  # more could not be told apart, and took several times the bytes


def draw_transcript(transcript: Transcript, begin: Begin, out: Path) -> Path:
    """Draw the begin of a recording, in rows of equal duration one under the other.

    Args:
        transcript: of the recording.
        begin: what was kept of it.
        out: the picture, a PNG.

    Returns:
        `out`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    seconds = min(begin.seconds, transcript.seconds)
    sound = _spectrogram(begin.samples)
    probabilities = begin.probabilities
    classes = _classes(probabilities, transcript.phones)
    rows = math.ceil(seconds / _SECONDS_A_ROW)
    row_height = _SOUND + _BAND + _PHONE * len(classes) + _TICKS
    height = _TITLE + rows * row_height
    drawn = list(takewhile(lambda segment: segment.begin < seconds, transcript))
    with rc_context({"font.size": 7, "font.family": "sans-serif", "axes.linewidth": 0.5}):
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
        figure.text(_LEFT / _WIDTH, 1 - 0.2 / height, _title(transcript, seconds), fontsize=8.5)
        for row in range(rows):
            span = seconds * row / rows, seconds * (row + 1) / rows
            top = height - _TITLE - row * row_height
            _draw_sound(_axes(figure, top, _SOUND, span), sound, seconds)
            _draw_band(_axes(figure, top - _SOUND, _BAND, span), drawn, span)
            axes = _axes(figure, top - _SOUND - _BAND, _PHONE * len(classes), span)
            _draw_probabilities(axes, probabilities[:, classes])
            axes.set_yticks(range(len(classes)), [transcript.phones[x] for x in classes], size=4.6)
            axes.set_xticks(np.arange(math.ceil(2 * span[0]), math.floor(2 * span[1]) + 1) / 2)
            if row == rows - 1:
                axes.set_xlabel("seconds", labelpad=1)
        out.parent.mkdir(parents=True, exist_ok=True)
        _save(figure, out)
    return out


def _save(figure: "Figure", out: Path) -> None:
    """Write a PNG of few colours."""
    from PIL import Image

    with io.BytesIO() as drawn:
        figure.savefig(drawn, format="png")
        with Image.open(drawn) as image:
            few = image.convert("RGB").quantize(
                _COLOURS_IN_ALL, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
            )
    # The mean of white and of what is next to it is no white.
    few.putpalette([255 if part > 250 else part for part in few.getpalette() or []])
    few.save(out, format="png", optimize=True, dpi=(_DPI, _DPI))


def _title(transcript: Transcript, seconds: float) -> str:
    whole = f"{transcript.seconds:,.1f} s"
    shown = whole if seconds == transcript.seconds else f"the first {seconds:g} s of {whole}"
    return f"{Path(transcript.name).name}   {shown}"


def _spectrogram(samples: np.ndarray) -> np.ndarray:
    """Give what a broad-band spectrogram shows, (bins, columns), dB below the loudest."""
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    padded = np.pad(emphasised, _WINDOW // 2)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_STEP]
    power = np.abs(np.fft.rfft(pieces * np.hanning(_WINDOW), _LENGTH)) ** 2
    level: np.ndarray = 10 * np.log10(power.T + 1e-12)
    level -= level.max()
    return level


def _classes(probabilities: np.ndarray, phones: Sequence[str]) -> list[int]:
    """Give the classes that become probable, those that sound alike next to each other."""
    seen = np.flatnonzero(probabilities.max(axis=0) >= _LEAST_PROBABLE).tolist()
    places = [_ORDER.index(known) if (known := kin(phone)) else len(_ORDER) for phone in phones]
    return sorted(seen, key=lambda phone: places[phone])


def _axes(figure: "Figure", top: float, height: float, span: tuple[float, float]) -> "Axes":
    whole = figure.get_figheight()
    width = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
    axes = figure.add_axes((_LEFT / _WIDTH, (top - height) / whole, width, height / whole))
    axes.set_xlim(*span)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def _draw_sound(axes: "Axes", sound: np.ndarray, seconds: float) -> None:
    from matplotlib import colormaps

    khz = SAMPLE_RATE / 2000
    span = axes.get_xlim()
    axes.imshow(
        sound,
        aspect="auto",
        origin="lower",
        cmap=colormaps["Greys"].resampled(_GREYS),
        vmin=-_DEEP,
        vmax=0,
        extent=(0, seconds, 0, khz),
    )
    axes.set(xlim=span, ylim=(0, khz), ylabel="kHz", yticks=[0, 2, 4, 6, 8])
    axes.tick_params(axis="y", labelsize=5.5, length=2)


def _draw_band(axes: "Axes", drawn: Sequence[Segment], span: tuple[float, float]) -> None:
    """Draw the segments in the colour of how they are made, with their names."""
    inches = (_WIDTH - _LEFT - _RIGHT) / (span[1] - span[0])
    axes.set_ylim(0, 1)
    for segment in drawn:
        begin, end = max(span[0], segment.begin), min(span[1], segment.end)
        if begin >= end:
            continue
        colour = _COLOURS.get(kin(segment.phone) or segment.phone, "white")
        axes.axvspan(begin, end, facecolor=colour, edgecolor="black", linewidth=0.3)
        upright = (end - begin) * inches < 0.068 * len(segment.phone) + 0.03
        if (end - begin) * inches >= 0.045:
            axes.text(
                (begin + end) / 2,
                0.47,
                segment.phone,
                rotation=90 if upright else 0,
                fontsize=5 if upright else 7,
                ha="center",
                va="center",
            )


def _draw_probabilities(axes: "Axes", probabilities: np.ndarray) -> None:
    span, lead = axes.get_xlim(), (FRAME_SAMPLES - SHIFT_SAMPLES) / 2 / SAMPLE_RATE
    frames, phones = probabilities.shape
    axes.imshow(
        probabilities.T,
        aspect="auto",
        interpolation="nearest",
        cmap="Purples",
        vmin=0,
        vmax=1,
        extent=(lead, lead + frames * SHIFT_SAMPLES / SAMPLE_RATE, phones - 0.5, -0.5),
    )
    axes.set(xlim=span)
    axes.tick_params(axis="y", length=0, pad=1.5)
    axes.tick_params(axis="x", length=2)
