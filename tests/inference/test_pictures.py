"""Pictures are drawn from what a fit leaves, odd cases with them."""

from pathlib import Path

import numpy as np
import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.pictures import (
    BROAD_CLASSES,
    plot_confusion,
    plot_curves,
    top_confusions,
)
from phoneme_lightning.phones import PHONES

PNG = b"\x89PNG"


def confusion_of(**mistakes: int) -> np.ndarray:
    """Give a matrix with 100 right frames a phone but SPN, and mistakes such as M_N=5."""
    confusion = 100 * np.eye(len(PHONES), dtype=int)
    confusion[PHONES.index("SPN")] = 0
    for names, frames in mistakes.items():
        true, predicted = (PHONES.index(name) for name in names.split("_"))
        confusion[true, predicted] = frames
    return confusion


def test_the_broad_classes_hold_each_phone_once() -> None:
    assert sorted(sum(BROAD_CLASSES.values(), ())) == sorted(PHONES)


def test_the_costliest_mistakes_come_first() -> None:
    worst = top_confusions(confusion_of(M_N=30, N_M=10, Z_S=60), 2)
    assert worst == [("Z", "S", 0.6), ("M", "N", 0.3)]
    assert top_confusions(confusion_of(), 5) == []


@pytest.mark.filterwarnings("error")
def test_a_confusion_picture_is_drawn_even_without_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "confusion.png"
    plot_confusion(confusion_of(), path)
    assert path.read_bytes().startswith(PNG)


@pytest.mark.filterwarnings("error")
def test_curves_are_drawn_from_rows_with_gaps(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.csv"
    metrics.write_text(
        "step,train/loss,train/frame_accuracy,val/loss\n50,2.5,0.3,\n100,2.1,0.4,\n100,,,2.2\n"
    )
    plot_curves(metrics, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


def test_curves_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no metrics"):
        plot_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
