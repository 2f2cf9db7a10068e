"""How well frames are classified: accuracy, F1, confusion, and the phone error rate."""

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from phoneme_lightning.batch import Batch
from phoneme_lightning.phones import IGNORE_LABEL, NUM_PHONES

__all__ = ["PhoneMetrics", "correct_frames", "macro_f1", "phone_accuracy"]


def _classes(predictions: Tensor) -> Tensor:
    return predictions.argmax(dim=-1) if predictions.ndim == 3 else predictions


def correct_frames(predictions: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Count frames: all that a training step needs, without waiting for the device.

    Args:
        predictions: (batch, frames, classes) scores or (batch, frames) classes.
        batch: what they were made from; frames labelled IGNORE_LABEL do not count.

    Returns:
        How many frames are right and how many count, both (), int64.
    """
    counted = batch.labels != IGNORE_LABEL
    right = (_classes(predictions) == batch.labels) & counted
    return right.sum(), counted.sum()


def phone_accuracy(confusion: Tensor) -> Tensor:
    """Give each class's share of right frames.

    Args:
        confusion: (classes, classes), frames, rows true, columns predicted.

    Returns:
        (classes,), float; NaN for a class that does not occur.
    """
    return confusion.diag() / confusion.sum(dim=1)


def macro_f1(confusion: Tensor) -> Tensor:
    """Average F1 over the classes that occur among the labels, each with the same weight.

    Args:
        confusion: (classes, classes), frames, rows true, columns predicted.

    Returns:
        (), float; NaN where nothing was counted.
    """
    true, predicted = confusion.sum(dim=1), confusion.sum(dim=0)
    f1 = 2 * confusion.diag() / (true + predicted)
    return f1[true > 0].mean()


def _collapse(frames: np.ndarray) -> bytes:
    """Take each run of one class as one phone: (frames,), uint8 -> a byte a phone."""
    return bytes(frames[np.diff(frames, prepend=~frames[:1]) != 0])


class PhoneMetrics(Metric):
    """All scores of a split, summed over its batches and over all ranks.

    `compute` gives, each ():

    * `frame_accuracy`: right frames / labelled frames.
    * `macro_f1`: see the function of that name.
    * `phone_error_rate`: all edits / all phones of the labels, where an utterance's frames, each
      run of one class taken as one phone, are edited into its labels taken likewise. Silence is a
      phone, as it is on TIMIT, whose 39 scored classes hold it (Lee and Hon 1989; Kaldi's
      egs/timit/s5/run.sh: it "is scored"). One wrong frame inside a phone costs two edits, so
      without smoothing this rate is no match for a recogniser's.

    The confusion matrix is counted here, not by torchmetrics, whose own waits for the device (it
    drops ignored frames by boolean indexing) and under deterministic algorithms needs memory of
    frames x classes^2. `update` still waits once, to count edits: keep it to validation and test.

    Args:
        num_classes: how many classes there are, at most 256.

    Attributes:
        confusion: (classes, classes), int64, frames, rows true, columns predicted, over all ranks,
            as of the last `compute`.
        utterances: (utterances, 3), int64: position in the frame store, labelled frames and right
            ones, in the order of the store, likewise.
    """

    is_differentiable = False
    full_state_update = False
    _counts: Tensor
    _edits: Tensor
    _phones: Tensor
    _by_utterance: list[Tensor] | Tensor

    def __init__(self, num_classes: int = NUM_PHONES) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.utterances = torch.zeros(0, 3, dtype=torch.int64)
        # One place more than the matrix has: there go the frames that do not count.
        self.add_state("_counts", torch.zeros(num_classes**2 + 1, dtype=torch.int64), "sum")
        self.add_state("_edits", torch.tensor(0), "sum")
        self.add_state("_phones", torch.tensor(0), "sum")
        self.add_state("_by_utterance", [], "cat")
        self.reset()

    def reset(self) -> None:
        """Forget what was counted; a rank that gets no batch still has rows to give: none."""
        super().reset()
        self._by_utterance = [torch.zeros(0, 3, dtype=torch.int64, device=self.device)]

    def update(self, predictions: Tensor, batch: Batch) -> None:
        """Count a batch.

        Args:
            predictions: (batch, frames, classes) scores or (batch, frames) classes.
            batch: what they were made from; frames labelled IGNORE_LABEL do not count.
        """
        classes = _classes(predictions)
        counted = batch.labels != IGNORE_LABEL
        place = (batch.labels * self.num_classes + classes).where(counted, self.num_classes**2)
        self._counts.scatter_add_(0, place.flatten(), torch.ones_like(place).flatten())
        right = (classes == batch.labels) & counted
        rows = torch.stack([batch.utterances, counted.sum(dim=1), right.sum(dim=1)], dim=1)
        self._by_utterance = [*self._by_utterance, rows]

        columns = torch.stack([classes, batch.labels, counted]).to(torch.uint8).cpu().numpy()
        for predicted, label, kept in zip(*columns, strict=True):
            phones = _collapse(label[kept == 1])
            self._phones += len(phones)
            self._edits += Levenshtein.distance(phones, _collapse(predicted[kept == 1]))

    def compute(self) -> dict[str, Tensor]:
        """Give the scores, and set `confusion` and `utterances`."""
        self.confusion = self._counts[:-1].view(self.num_classes, self.num_classes).clone()
        rows = dim_zero_cat(self._by_utterance)
        self.utterances = rows[rows[:, 0].argsort()]
        return {
            "frame_accuracy": self.confusion.trace() / self.confusion.sum(),
            "macro_f1": macro_f1(self.confusion),
            "phone_error_rate": self._edits / self._phones,
        }
