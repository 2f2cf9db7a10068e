"""Pictures of all models that are kept: how they learned, and which phones they hear."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tables import KEPT, ROOT, read_kept, title

from phoneme_lightning.inference.confusion_file import read_confusion
from phoneme_lightning.phones import PHONES
from phoneme_lightning.training.curves import read_metrics

__all__ = ["draw", "draw_curves", "draw_phones"]

IMAGES = ROOT / "docs/images"
COLOURS = {
    "baseline": "#9a9a9a",
    "gru": "#4d4d4d",
    "rnn": "#c98500",
    "crnn": "#b3261e",
    "cnn": "#2e8b57",
    "transformer": "#7f5fb0",
    "conformer": "#2f6fb5",
    "ensemble": "#000000",
}
LINES = {"": "-", "long": "--", "pseudo": ":"}


def _runs(kept: Path, name: str) -> list[Path]:
    return sorted(path for path in (kept / name).glob("s*") if path.is_dir())


def _counts(run: Path) -> np.ndarray:
    found = read_confusion(run)
    assert found is not None  # nothing is kept without
    return found.counts


def draw_curves(kept: Path, path: Path) -> None:
    """Draw the validation accuracy of each fit over the frames that it had seen.

    Args:
        kept: folder of all models.
        path: the picture.
    """
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    lowest = 1.0
    for name in reversed(read_kept(kept)):
        base, _, end = name.partition("-")
        style = {"color": COLOURS.get(base), "linestyle": LINES.get(end, "--"), "linewidth": 1.4}
        label = title(name)
        for run in _runs(kept, name):
            rows = read_metrics(run / "metrics.csv")
            if not rows:  # it was not trained
                continue
            trained = [row for row in rows if "train/frames_seen" in row]
            steps = [0, *(row["step"] for row in trained)]
            seen = [0, *(row["train/frames_seen"] / 1e6 for row in trained)]
            validated = [row for row in rows if "val/frame_accuracy" in row]
            values = [row["val/frame_accuracy"] for row in validated]
            frames = np.interp([row["step"] for row in validated], steps, seen)
            axes.plot(frames, values, label=label, **style)
            lowest, label = min(lowest, max(values)), "_"
    axes.set(xlabel="million frames heard in training", ylabel="frame accuracy on validation")
    axes.set_ylim(bottom=max(0.0, lowest - 0.1))
    _finish(axes)
    axes.legend(frameon=False, loc="lower right", ncols=2)
    figure.savefig(path, dpi=120)


def draw_phones(kept: Path, path: Path) -> None:
    """Draw how many frames of each phone each model gets right, in the order of the best model.

    Args:
        kept: folder of all models.
        path: the picture.
    """
    counts = {
        name: np.sum([_counts(run) for run in _runs(kept, name)], axis=0)
        for name in read_kept(kept)
        if "-" not in name
    }
    frames = next(iter(counts.values())).sum(axis=1)
    there = np.flatnonzero(frames)
    shares = {
        name: 100 * one.diagonal()[there] / one.sum(axis=1)[there] for name, one in counts.items()
    }
    order = np.argsort(-list(shares.values())[-1], kind="stable")
    figure = Figure(figsize=(10.4, 6.4), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(6, 1))
    places = np.arange(len(order))
    every = np.array(list(shares.values()))[:, order]
    axes.vlines(places, every.min(axis=0), every.max(axis=0), color="#d0d0d0", linewidth=1)
    for name, share in shares.items():
        dots = {"color": COLOURS.get(name), "markeredgecolor": "white", "markeredgewidth": 0.5}
        axes.plot(places, share[order], "o", markersize=5.5, label=title(name), **dots)
    axes.set(ylabel="% of its frames right")
    axes.tick_params(bottom=False)
    _finish(axes)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=4, loc="outside upper center")
    below.bar(places, (100 * frames[there] / frames.sum())[order], color="#c8d3e0")
    below.set(ylabel="% of frames", xlim=(-0.7, len(order) - 0.3))
    below.set_xticks(places, [PHONES[index] for index in there[order]], size=8, rotation=90)
    below.tick_params(length=0, axis="x")
    below.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def _finish(axes: Any) -> None:
    axes.grid(axis="y", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw(kept: Path = KEPT, images: Path = IMAGES) -> None:
    """Draw both, each where there is a model for it."""
    names = read_kept(kept)
    if names:
        draw_curves(kept, images / "recipes-curves.png")
    if any("-" not in name for name in names):
        draw_phones(kept, images / "recipes-phones.png")
