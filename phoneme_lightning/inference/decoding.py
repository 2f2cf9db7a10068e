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
        shortest: frames of the shortest run, at least 1.
    """

    log_prior: np.ndarray
    log_stay: np.ndarray
    log_next: np.ndarray
    shortest: int


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

    The first and the last run of an utterance do not count for the shortest: they may be cut.

    Args:
        store: a corpus.
        positions: training utterances, which have labels.

    Returns:
        The model. Its length of a run is the shortest, and then geometric.
    """
    classes = len(store.phones)
    follows = np.ones((classes, classes))
    frames, runs = np.zeros(classes), np.zeros(classes)
    lengths: list[int] = []
    for position in positions.tolist():
        labels = np.asarray(store.labels[slice(*store.offsets[position : position + 2])])
        labels = labels[labels >= 0]
        begins = np.flatnonzero(np.diff(labels, prepend=-1))
        phones = labels[begins]
        frames += np.bincount(labels, minlength=classes)
        runs += np.bincount(phones, minlength=classes)
        np.add.at(follows, (phones[:-1], phones[1:]), 1)
        lengths += np.diff(begins)[1:].tolist()
    np.fill_diagonal(follows, 0)
    shortest = min(lengths, default=1)
    stays, ends = 1 + np.maximum(frames - shortest * runs, 0), follows.sum(axis=1)
    with np.errstate(divide="ignore"):
        log_next = np.log(follows / (stays + ends)[:, None])
    return PhoneModel(
        np.log((frames + 1) / (frames + 1).sum()).astype(np.float32),
        np.log(stays / (stays + ends)).astype(np.float32),
        log_next.astype(np.float32),
        shortest,
    )
