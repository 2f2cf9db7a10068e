"""A decoder chosen on validation, and a score of it that was not tuned on what it scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.decoding import Decoder, PhoneModel
from phoneme_lightning.inference.viterbi import viterbi

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
    """

    paths: list[np.ndarray]
    in_first: np.ndarray
    of_halves: tuple[Decoder, Decoder]
    of_all: Decoder


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
    """Choose the decoder with the most right frames: on each half, for the other, and on all.

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
    told = [np.append(fold, -1)[y] for y in labels]  # a label of -1 is its last
    right = np.array(
        [[(fold[path] == y).sum() for path, y in zip(paths, told, strict=True)] for paths in tried]
    )
    by_first, by_second, by_all = (
        int(right[:, chosen].sum(axis=1).argmax())
        for chosen in (in_first, ~in_first, np.full(len(in_first), True))
    )
    return CrossFit(
        [tried[by_second if first else by_first][i] for i, first in enumerate(in_first)],
        in_first,
        (CANDIDATES[by_first], CANDIDATES[by_second]),
        CANDIDATES[by_all],
    )
