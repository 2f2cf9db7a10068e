"""A decoder chosen on validation, and a score of it that was not tuned on what it scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.decoding import Decoder, PhoneModel
from phoneme_lightning.inference.viterbi import viterbi
from phoneme_lightning.training.metrics import phone_edits

__all__ = ["CANDIDATES", "CrossFit", "cross_fit", "halve"]

CANDIDATES = tuple(
    Decoder(transition_weight, prior_weight)
    for transition_weight in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
    for prior_weight in (0.0, 0.25, 0.5, 0.75)
)


@dataclass(frozen=True, eq=False)
class CrossFit:
    """What came of a choice.

    Attributes:
        paths: of each utterance of validation (frames,), uint8, decoded as the other half chose.
        in_first: (utterances,), bool: which half an utterance is in.
        of_halves: the decoder chosen on the first half, and that chosen on the second.
        of_all: the decoder chosen on all of validation, for utterances beyond it.
        is_worse: whether the paths have more edits of phones than each frame's likeliest class by
            itself: edits are what decoding is for.
    """

    paths: list[np.ndarray]
    in_first: np.ndarray
    of_halves: tuple[Decoder, Decoder]
    of_all: Decoder
    is_worse: bool


def halve(speakers: Sequence[str]) -> np.ndarray:
    """Part utterances in two halves that share no speaker, always in the same way.

    Args:
        speakers: of each utterance. Where there is only one, the utterances are halved.

    Returns:
        (utterances,), bool: which are in the first half.

    Raises:
        InputError: there is only one utterance.
    """
    if len(speakers) < 2:
        raise InputError("--decode needs two utterances of validation or more: leave it out")
    names = np.asarray(speakers)
    if len(np.unique(names)) == 1:
        names = np.arange(len(names))
    known = np.random.default_rng(0).permutation(np.unique(names))
    return np.isin(names, known[: len(known) // 2])


def cross_fit(
    log_probs: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    speakers: Sequence[str],
    phones: PhoneModel,
    fold: np.ndarray,
) -> CrossFit:
    """Choose a decoder on each half, for the other, and on all.

    Of the decoders whose right frames fall short of the most by no more than luck may make of it
    (one standard error of the difference over utterances, as in Breiman et al. 1984), and are no
    fewer than those of each frame's likeliest class, it is the one with the fewest edits of phones:
    few utterances tell decoders apart by their phones long before they do so by their frames. Where
    none has as many right frames as the likeliest classes, it is the one with the most.

    Args:
        log_probs: (frames, classes) of each utterance of validation.
        labels: (frames,) of each, -1 where there is none, which is never right.
        speakers: of each.
        phones: what the training labels say.
        fold: class -> the class as which it is scored, (classes,), int.

    Returns:
        The choices, and validation decoded by them.

    Raises:
        InputError: there is only one utterance.
    """
    in_first = halve(speakers)
    console = Console(stderr=True)
    hidden = not console.is_terminal
    candidates = track(CANDIDATES, "  decoders", console=console, transient=True, disable=hidden)
    tried = [viterbi(log_probs, phones, decoder) for decoder in candidates]
    tried.append([heard.argmax(axis=1).astype(np.uint8) for heard in log_probs])
    right, edits = _count(tried, labels, fold)
    by_first, by_second, by_all = (
        _choose(right[:, chosen], edits[:, chosen])
        for chosen in (in_first, ~in_first, np.full(len(in_first), True))
    )
    by = np.where(in_first, by_second, by_first)
    each = np.arange(len(by))
    return CrossFit(
        [tried[decoder][i] for i, decoder in enumerate(by)],
        in_first,
        (CANDIDATES[by_first], CANDIDATES[by_second]),
        CANDIDATES[by_all],
        bool(edits[by, each].sum() > edits[-1].sum()),
    )


def _count(
    tried: Sequence[Sequence[np.ndarray]], labels: Sequence[np.ndarray], fold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count right frames and edits of phones, each (ways to decode, utterances), as scored."""
    known = [y >= 0 for y in labels]
    counts = np.array([own.sum() for own in known])
    told = _join(labels, known, fold)
    right, edits = [], []
    for paths in tried:
        found = _join(paths, known, fold)
        right.append([part.sum() for part in np.split(found == told, counts.cumsum()[:-1])])
        edits.append(phone_edits(found, told, counts)[0])
    return np.array(right), np.array(edits)


def _join(
    classes: Sequence[np.ndarray], known: Sequence[np.ndarray], fold: np.ndarray
) -> np.ndarray:
    """Give the labelled frames of all utterances end to end, as scored, uint8."""
    whole = np.concatenate([x[own] for x, own in zip(classes, known, strict=True)])
    scored: np.ndarray = fold[whole].astype(np.uint8)
    return scored


def _choose(right: np.ndarray, edits: np.ndarray) -> int:
    """Choose by counts, each (decoders and then each frame's likeliest class, utterances)."""
    *frames, plain = right.sum(axis=1)
    most = int(np.argmax(frames))
    able = ~_falls_short(right[:-1], right[most]) & (np.array(frames) >= plain)
    if not able.any():
        return most
    return int(np.where(able, edits[:-1].sum(axis=1), np.inf).argmin())


def _falls_short(right: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Say which have fewer right frames by more than one standard error.

    Args:
        right: of each way to decode and each utterance, (ways, utterances).
        of: than this one, (utterances,).

    Returns:
        (ways,), bool.
    """
    short, utterances = of - right, right.shape[1]
    error = short.std(axis=1) * utterances / np.sqrt(max(1, utterances - 1))
    # Where they differ in one utterance alone, both are the same, but for rounding.
    fewer: np.ndarray = short.sum(axis=1) > error * (1 + 1e-9)
    return fewer
