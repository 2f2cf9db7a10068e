"""Which classes follow one another and for how long, as the training labels say."""

from dataclasses import dataclass

import numpy as np

from phoneme_lightning.corpora.store import FrameStore

__all__ = ["Decoder", "PhoneModel", "learn_phones"]


@dataclass(frozen=True, eq=False)
class PhoneModel:
    """What the training labels say of phones, before anything is heard.

    Attributes:
        log_prior: (classes,), float32: how often a frame is of each class.
        log_stay: (classes,), float32: that a run which is long enough goes on for another frame.
        log_next: (classes, classes), float32, rows from, columns to: that it ends, and what comes
            next; -inf on the diagonal.
        shortest: (classes,), int64: frames that a run lasts at least, 1 or more.
    """

    log_prior: np.ndarray
    log_stay: np.ndarray
    log_next: np.ndarray
    shortest: np.ndarray


@dataclass(frozen=True)
class Decoder:
    """How much a `PhoneModel` counts beside what a net hears.

    Attributes:
        transition_weight: of what follows what and how long it lasts; 0 asks for the shortest run
            and no more.
        prior_weight: how much of the prior is taken out of the net's probabilities, which hold it
            once: the transitions bring it in again.
    """

    transition_weight: float
    prior_weight: float


def learn_phones(store: FrameStore, positions: np.ndarray) -> PhoneModel:
    """Count runs and what follows them, one added to every count.

    A class's shortest run is the length that all but 1 in 100 of its runs reach: one frame labelled
    amiss says nothing of phones. The first and the last run of an utterance, which may be cut, do
    not count for it; a class without others may last for one frame.

    Args:
        store: a corpus.
        positions: training utterances, which have labels.

    Returns:
        The model. Its length of a run is the shortest, and then geometric.
    """
    classes = len(store.phones)
    follows = np.ones((classes, classes))
    frames = np.zeros(classes)
    runs: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    inner: list[np.ndarray] = []
    for position in positions.tolist():
        labels = np.asarray(store.labels[slice(*store.offsets[position : position + 2])])
        labels = labels[labels >= 0]
        begins = np.flatnonzero(np.diff(labels, prepend=-1))
        phones = labels[begins]
        frames += np.bincount(labels, minlength=classes)
        np.add.at(follows, (phones[:-1], phones[1:]), 1)
        runs.append(phones)
        lengths.append(np.diff(begins, append=len(labels)))
        is_inner = np.full(len(phones), True)
        is_inner[[0, -1]] = False
        inner.append(is_inner)
    np.fill_diagonal(follows, 0)
    of, lasted = np.concatenate(runs), np.concatenate(lengths)
    shortest = _shortest(of, lasted, np.concatenate(inner), classes)
    more = np.bincount(of, (lasted - shortest[of]).clip(min=0), minlength=classes)
    stays, ends = 1 + more, follows.sum(axis=1)
    with np.errstate(divide="ignore"):
        log_next = np.log(follows / (stays + ends)[:, None])
    return PhoneModel(
        np.log((frames + 1) / (frames + 1).sum()).astype(np.float32),
        np.log(stays / (stays + ends)).astype(np.float32),
        log_next.astype(np.float32),
        shortest,
    )


def _shortest(
    runs: np.ndarray, lengths: np.ndarray, counted: np.ndarray, classes: int
) -> np.ndarray:
    """Give the length that all but 1 in 100 of the counted runs of each class reach, (classes,)."""
    shortest = np.ones(classes, dtype=np.int64)
    for phone in range(classes):
        own = np.sort(lengths[counted & (runs == phone)])
        if len(own):
            shortest[phone] = own[len(own) // 100]
    return shortest
