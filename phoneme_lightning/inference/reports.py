"""What a test leaves behind: the predictions, the scores, the picture of the confusions."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed import gather_object

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.data import PhonemeDataModule
from phoneme_lightning.inference.baselines import linear_probe, silence_share
from phoneme_lightning.inference.confusion_file import write_confusion
from phoneme_lightning.inference.pictures import plot_confusion, plot_curves
from phoneme_lightning.inference.scores import split_score
from phoneme_lightning.inference.submission import write_submission
from phoneme_lightning.training.metrics import PhoneMetrics, phone_accuracy
from phoneme_lightning.training.run import say

__all__ = [
    "CollectPredictions",
    "report_fit",
    "report_test",
    "report_validation",
    "write_prediction",
]


class CollectPredictions(Callback):
    """Gather what the test or predict loop predicts.

    Attributes:
        predictions: position in the store -> classes, (frames,), uint8. Of all ranks on the
            first one, once the loop is over; of its own on the others.
    """

    def __init__(self) -> None:
        self.predictions: dict[int, np.ndarray] = {}

    def on_test_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Keep a batch."""
        self.predictions.update(args[2]["predictions"])

    def on_predict_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Keep a batch."""
        self.predictions.update(args[2]["predictions"])

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have those of all ranks."""
        self._gather(trainer)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have those of all ranks."""
        self._gather(trainer)

    def _gather(self, trainer: Trainer) -> None:
        if trainer.world_size > 1:
            every: list[Any] | None = [None] * trainer.world_size
            every = every if trainer.is_global_zero else None
            gather_object(self.predictions, every)
            for predictions in every or []:
                self.predictions.update(predictions)


def report_fit(
    folder: Path, metrics: PhoneMetrics, store: FrameStore, *, draw: bool = True
) -> dict[str, Path]:
    """Keep what a validation confused; draw it, and the curves of the fit so far.

    Args:
        folder: the run's folder; gets confusion-validation.csv.
        metrics: of the validation.
        store: the corpus.
        draw: whether to draw at all.

    Returns:
        The pictures by the names under which W&B files them.
    """
    confusion = metrics.confusion.cpu().numpy()
    write_confusion(folder, confusion, store.scored_phones)
    if not draw:
        return {}
    pictures = {"val/confusion": folder / "confusion-validation.png"}
    plot_confusion(confusion, pictures["val/confusion"], store.scored_phones)
    if (folder / "metrics.csv").is_file():
        pictures["curves"] = folder / "curves.png"
        plot_curves(folder / "metrics.csv", pictures["curves"])
    return pictures


def write_prediction(
    folder: Path, data: PhonemeDataModule, predictions: dict[int, np.ndarray]
) -> Path:
    """Write prediction.csv: every frame of the test split, in its order.

    Args:
        folder: the run's folder.
        data: whose test split was predicted.
        predictions: position in the store -> classes, (frames,).
    """
    positions = data.positions("test")
    frames = int(data.store.lengths[positions].sum())
    path = folder / "prediction.csv"
    missing = data.store.rejected("test")
    if missing:
        say(
            f"WARNING: {len(missing)} test utterances were quarantined when {data.store.path} was "
            f"prepared ({missing[0]}, ...), so this is no whole submission: mend and prepare again"
        )
    write_submission(path, (predictions[p] for p in positions.tolist()), frames)
    say(f"prediction: {path}, {frames:,} frames of {len(positions):,} test utterances")
    return path


def report_validation(
    folder: Path,
    store: FrameStore,
    metrics: PhoneMetrics,
    about: Mapping[str, Any],
    scores: Mapping[str, float],
) -> None:
    """Keep and say the scores of the validation split; draw what is confused.

    Args:
        folder: gets validation.json, confusion-validation.csv and its picture.
        store: the corpus.
        metrics: as the validation loop filled it.
        about: what validation.json says beside the scores.
        scores: by their names, val/frame_accuracy and so on.
    """
    report_fit(folder, metrics, store)
    text = json.dumps({**about, **scores}, indent=2)
    (folder / "validation.json").write_text(text + "\n", encoding="utf-8")
    shown = (f"{name.removeprefix('val/').replace('_', ' ')} {x:.4f}" for name, x in scores.items())
    what = "decoded validation" if "decoder" in about else "validation"
    say(f"{what}: " + "  ".join(shown))


def report_test(
    folder: Path,
    data: PhonemeDataModule,
    predictions: dict[int, np.ndarray],
    metrics: PhoneMetrics,
    *,
    checkpoint: str,
    precision: str,
) -> dict[str, Any]:
    """Score the test split on both halves, beside what needs no learning; keep and say it.

    Args:
        folder: the run's folder; gets test.json and confusion.png.
        data: whose test split was predicted.
        predictions: position in the store -> classes, (frames,).
        metrics: as the test loop filled it.
        checkpoint: whose weights were scored.
        precision: what was calculated in.

    Returns:
        The scores, as test.json holds them beside the accuracy of each phone.
    """
    positions = data.positions("test")
    store, fold = data.store, np.append(data.store.fold, -1)  # a label of -1 is its last
    utterances = [store[p] for p in positions.tolist()]
    scores = split_score(
        [u.id for u in utterances],
        [fold[predictions[p]] for p in positions.tolist()],
        [fold[u.labels] for u in utterances if u.labels is not None],
    )
    accuracy, macro_f1, phone_errors = (float(x) for x in metrics.compute().values())
    silence = silence_share(store, positions)
    probe = linear_probe(store, data.positions("train"), positions)
    record = {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "run": str(folder),
        "checkpoint": checkpoint,
        "precision": precision,
        "corpus": store.corpus,
        "public": scores.public,
        "private": scores.private,
        "frame_accuracy": accuracy,
        "macro_f1": macro_f1,
        "phone_error_rate": phone_errors,
        "silence_share": silence,
        "linear_probe": probe,
    }
    shares = phone_accuracy(metrics.confusion).tolist()
    by_phone = {
        phone: None if math.isnan(share) else share
        for phone, share in zip(store.scored_phones, shares, strict=True)
    }
    (folder / "test.json").write_text(
        json.dumps({**record, "by_phone": by_phone}, indent=2) + "\n", encoding="utf-8"
    )
    plot_confusion(metrics.confusion.cpu().numpy(), folder / "confusion.png", store.scored_phones)
    say(
        f"test: public {scores.public:.4f}  private {scores.private:.4f}  "
        f"both {accuracy:.4f}  macro F1 {macro_f1:.4f}  phone error rate {phone_errors:.3f}"
    )
    say(
        f"      silence everywhere would reach {silence:.4f}, "
        f"a linear probe of single frames {probe:.4f}"
    )
    say(f"      which phones it takes for which: {folder / 'confusion.png'}")
    if store.corpus == "spoken":
        say(
            "      this speech is synthetic, so the score says nothing about real speech; "
            "for that: phoneme-data prepare libriphone FOLDER"
        )
    return record
