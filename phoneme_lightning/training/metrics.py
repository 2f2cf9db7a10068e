"""How well frames are classified: accuracy, F1, confusion, and the phone error rate."""

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from phoneme_lightning.batch import Batch
from phoneme_lightning.phones import IGNORE_LABEL, NUM_PHONES

__all__ = ["PhoneMetrics", "correct_frames", "macro_f1", "phone_accuracy", "phone_edits"]


def _classes(predictions: Tensor) -> Tensor:
    return predictions.argmax(dim=-1) if predictions.ndim == 3 else predictions


def correct_frames(
    predictions: Tensor, batch: Batch, fold: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Count frames: all that a training step needs, without waiting for the device.

    Args:
        predictions: (batch, frames, classes) scores or (batch, frames) classes.
        batch: what they were made from; frames labelled IGNORE_LABEL do not count.
        fold: class -> the class as which it is scored, (classes,), int64; None: as itself.

    Returns:
        How many frames are right and how many count, both (), int64.
    """
    counted = batch.labels != IGNORE_LABEL
    classes, labels = _scored(_classes(predictions), batch.labels, fold)
    right = (classes == labels) & counted
    return right.sum(), counted.sum()


def _scored(classes: Tensor, labels: Tensor, fold: Tensor | None) -> tuple[Tensor, Tensor]:
    """Give predicted classes and labels as they are scored, IGNORE_LABEL as it is."""
    if fold is None:
        return classes, labels
    known = labels != IGNORE_LABEL
    return fold[classes], fold[labels.where(known, 0)].where(known, IGNORE_LABEL)


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


def _phones(frames: np.ndarray, counts: np.ndarray) -> list[bytes]:
    """Take each run of one class as one phone.

    Args:
        frames: all utterances' classes end to end, (frames,), uint8.
        counts: frames of each utterance, (utterances,), int64.

    Returns:
        Of each utterance, a byte a phone.
    """
    ends = counts.cumsum()
    begins = ends - counts
    changes = np.ones(len(frames), dtype=bool)
    changes[1:] = frames[1:] != frames[:-1]
    changes[begins[counts > 0]] = True
    first = np.flatnonzero(changes)
    phones = frames[first].tobytes()
    spans = zip(np.searchsorted(first, begins), np.searchsorted(first, ends), strict=True)
    return [phones[begin:end] for begin, end in spans]


def phone_edits(
    predicted: np.ndarray, labels: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count the edits that turn utterances' phones into those of their labels.

    Each run of one class is one phone.

    Args:
        predicted: all utterances' classes end to end, (frames,), uint8.
        labels: likewise; all frames have one.
        counts: frames of each utterance, (utterances,), int64.

    Returns:
        The edits, and the phones of the labels, each (utterances,), int64.
    """
    told = _phones(labels, counts)
    pairs = zip(_phones(predicted, counts), told, strict=True)
    edits = [Levenshtein.distance(a, b) for a, b in pairs]
    return np.array(edits, dtype=np.int64), np.array(list(map(len, told)), dtype=np.int64)


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

    An update only keeps the classes, 4 bytes a frame of the split on the device, and does not wait
    for it; `compute` waits once and counts them all.

    Args:
        num_classes: how many classes there are, at most 256.
        fold: class -> the class as which it is scored, (num_classes,), int64, where they differ:
            what follows then counts the latter.

    Attributes:
        confusion: (classes, classes), int64, frames, rows true, columns predicted, over all ranks,
            as of the last `compute`.
        utterances: (utterances, 3), int64: position in the frame store, labelled frames and right
            ones, in the order of the store, likewise.
    """

    is_differentiable = False
    full_state_update = False
    _places: list[Tensor] | Tensor
    _by_utterance: list[Tensor] | Tensor

    def __init__(self, num_classes: int = NUM_PHONES, fold: Tensor | None = None) -> None:
        super().__init__()
        self.fold: Tensor | None
        self.register_buffer("fold", fold, persistent=False)
        num_classes = num_classes if fold is None else int(fold.max()) + 1
        self.num_classes = num_classes
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.utterances = torch.zeros(0, 3, dtype=torch.int64)
        # Of each frame its place in the flattened confusion matrix; -1 where it does not count.
        self.add_state("_places", [], "cat")
        self.add_state("_by_utterance", [], "cat")
        self.reset()

    def reset(self) -> None:
        """Forget what was seen; a rank that gets no batch still has rows to give: none."""
        super().reset()
        self._places = [torch.zeros(0, dtype=torch.int32, device=self.device)]
        self._by_utterance = [torch.zeros(0, 3, dtype=torch.int64, device=self.device)]

    def update(self, predictions: Tensor, batch: Batch) -> None:
        """Keep a batch to be counted.

        Args:
            predictions: (batch, frames, classes) scores or (batch, frames) classes.
            batch: what they were made from; frames labelled IGNORE_LABEL do not count.
        """
        counted = batch.labels != IGNORE_LABEL
        classes, labels = _scored(_classes(predictions), batch.labels, self.fold)
        right = (classes == labels) & counted
        places = (labels * self.num_classes + classes).where(counted, -1)
        rows = torch.stack([batch.utterances, counted.sum(dim=1), right.sum(dim=1)], dim=1)
        self._places = [*self._places, places.flatten().int()]
        self._by_utterance = [*self._by_utterance, rows]

    def compute(self) -> dict[str, Tensor]:
        """Give the scores, and set `confusion` and `utterances`."""
        places, rows = dim_zero_cat(self._places).cpu().numpy(), dim_zero_cat(self._by_utterance)
        places, counts = places[places >= 0], rows[:, 1].cpu().numpy()
        shape = (self.num_classes, self.num_classes)
        confusion = np.bincount(places, minlength=self.num_classes**2).reshape(shape)
        self.confusion = torch.from_numpy(confusion).to(rows.device)
        self.utterances = rows[rows[:, 0].argsort()]
        label, predicted = (x.astype(np.uint8) for x in np.divmod(places, self.num_classes))
        both = [int(x.sum()) for x in phone_edits(predicted, label, counts)]
        edits_and_phones = torch.tensor(both, device=rows.device)
        return {
            "frame_accuracy": self.confusion.trace() / self.confusion.sum(),
            "macro_f1": macro_f1(self.confusion),
            "phone_error_rate": edits_and_phones[0] / edits_and_phones[1],
        }
