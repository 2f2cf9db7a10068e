"""Which classes follow one another and for how long, and the likeliest path through the frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.phones import NUM_PHONES

__all__ = ["Decoder", "PhoneModel", "learn_phones", "viterbi"]

UTTERANCES_AT_ONCE = 64
"""Their steps are taken together: the work of one still fits a processor's cache."""


@dataclass(frozen=True, eq=False)
class PhoneModel:
    """What the training labels say of phones, before anything is heard.

    Attributes:
        log_prior: (41,), float32: how often a frame is of each class.
        log_stay: (41,), float32: that a run which is long enough goes on for another frame.
        log_next: (41, 41), float32, rows from, columns to: that it ends, and what comes next;
            -inf on the diagonal.
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
    follows = np.ones((NUM_PHONES, NUM_PHONES))
    frames, runs = np.zeros(NUM_PHONES), np.zeros(NUM_PHONES)
    lengths: list[int] = []
    for position in positions.tolist():
        labels = np.asarray(store.labels[slice(*store.offsets[position : position + 2])])
        labels = labels[labels >= 0]
        begins = np.flatnonzero(np.diff(labels, prepend=-1))
        phones = labels[begins]
        frames += np.bincount(labels, minlength=NUM_PHONES)
        runs += np.bincount(phones, minlength=NUM_PHONES)
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


def viterbi(
    log_probs: Sequence[np.ndarray], phones: PhoneModel, decoder: Decoder
) -> list[np.ndarray]:
    """Find the likeliest classes of whole utterances (Viterbi 1967; Rabiner 1989, section III.B).

    A path's score is the sum of `log p(class | frame) - prior_weight * log prior` over its frames,
    and of `transition_weight * log p` over its transitions, for paths none of whose runs is shorter
    than the shortest, but for the first, which may be cut.

    Args:
        log_probs: (frames, 41) of each utterance, in floating point, natural logarithms.
        phones: what is known of phones.
        decoder: how much of it counts.

    Returns:
        (frames,), uint8, of each utterance.
    """
    order = sorted(range(len(log_probs)), key=lambda place: len(log_probs[place]))
    found: list[np.ndarray] = [np.empty(0, dtype=np.uint8)] * len(order)
    for first in range(0, len(order), UTTERANCES_AT_ONCE):
        places = order[first : first + UTTERANCES_AT_ONCE]
        paths = _paths([log_probs[place] for place in places], phones, decoder)
        for place, path in zip(places, paths, strict=True):
            found[place] = path
    return found


def _paths(
    log_probs: Sequence[np.ndarray], phones: PhoneModel, decoder: Decoder
) -> list[np.ndarray]:
    """Decode utterances of about one length together."""
    lengths = [len(frames) for frames in log_probs]
    heard = np.zeros((max(lengths), len(phones.log_prior), len(lengths)), dtype=np.float32)
    for row, frames in enumerate(log_probs):
        scores = frames - decoder.prior_weight * phones.log_prior
        # Near 0 sums keep their digits; the best path stays the best.
        heard[: len(frames), :, row] = scores - scores.max(axis=1, keepdims=True)
    stay = decoder.transition_weight * phones.log_stay[:, None]
    with np.errstate(invalid="ignore"):  # 0 times -inf, on the diagonal alone
        follow = decoder.transition_weight * phones.log_next
    np.fill_diagonal(follow, -np.inf)
    best, begins = _scores(heard, stay, follow, phones.shortest)
    return [
        _trace(best[:length, :, row], begins[:length, :, row], follow)
        for row, length in enumerate(lengths)
    ]


def _scores(
    heard: np.ndarray, stay: np.ndarray, follow: np.ndarray, shortest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Score the best path to each frame and class whose last run is long enough to end there.

    Args:
        heard: (frames, classes, batch).
        stay: (classes, 1).
        follow: (classes, classes), rows from, columns to.
        shortest: frames of the shortest run.

    Returns:
        The scores, and the frame at which the last run begins, both as `heard`.
    """
    best, begins = np.empty_like(heard), np.zeros(heard.shape, dtype=np.int32)
    best[0] = heard[0]
    for frame in range(1, len(heard)):
        best[frame] = best[frame - 1] + stay + heard[frame]
        begins[frame] = begins[frame - 1]
        begin = frame - shortest + 1
        if begin > 0:
            entered = (best[begin - 1][:, None] + follow[:, :, None]).max(axis=0)
            entered += heard[begin : frame + 1].sum(axis=0)
            better = entered > best[frame]
            best[frame][better] = entered[better]
            begins[frame][better] = begin
    return best, begins


def _trace(best: np.ndarray, begins: np.ndarray, follow: np.ndarray) -> np.ndarray:
    """Follow the best path of one utterance back, run by run.

    Args:
        best: (frames, classes), as `_scores` gives it.
        begins: likewise.
        follow: (classes, classes).

    Returns:
        (frames,), uint8.
    """
    path = np.empty(len(best), dtype=np.uint8)
    end = len(best)
    phone = int(best[-1].argmax())
    while end:
        begin = begins[end - 1, phone]
        path[begin:end] = phone
        end = begin
        if begin:
            phone = int((best[begin - 1] + follow[:, phone]).argmax())
    return path
