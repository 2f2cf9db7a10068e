"""Train and validation, drawn once when a corpus is prepared, and kept in its store."""

from collections.abc import Sequence

import numpy as np

from phoneme_lightning.corpora.store import SPLITS
from phoneme_lightning.errors import InputError

__all__ = ["complete_splits", "draw_splits"]


def draw_splits(
    speakers: Sequence[str], is_test: np.ndarray, *, fraction: float = 0.1, seed: int = 0
) -> dict[str, np.ndarray]:
    """Set a part of the training utterances aside for validation, in two ways.

    By utterance: validation has the speakers of train, other utterances. By speaker: validation
    has only speakers that train has not; whole speakers are drawn until they bring `fraction`, but
    never all of them.

    Args:
        speakers: each utterance's speaker.
        is_test: (utterances,), bool: which belong to the corpus's own test split.
        fraction: share of the training utterances that validation gets, 0 to 1; at least one
            utterance, and one is left to train.
        seed: of the draw.

    Returns:
        {"utterance": ..., "speaker": ...}, each (utterances,), uint8, an index into SPLITS.
    """
    names = np.asarray(speakers)
    pool = np.flatnonzero(~is_test)
    wanted = min(max(1, round(fraction * len(pool))), len(pool) - 1)
    draw = np.random.default_rng(seed)

    by_utterance = np.where(is_test, SPLITS.index("test"), SPLITS.index("train")).astype(np.uint8)
    by_speaker = by_utterance.copy()
    by_utterance[draw.permutation(pool)[:wanted]] = SPLITS.index("validation")

    taken = 0
    for speaker in draw.permutation(np.unique(names[pool]))[:-1]:
        if taken >= wanted:
            break
        of_speaker = pool[names[pool] == speaker]
        by_speaker[of_speaker] = SPLITS.index("validation")
        taken += len(of_speaker)
    return {"utterance": by_utterance, "speaker": by_speaker}


def complete_splits(
    speakers: Sequence[str], parts: Sequence[str], *, fraction: float = 0.1, seed: int = 0
) -> dict[str, np.ndarray]:
    """Split a corpus that may bring splits of its own.

    Where it says nothing of test, whole speakers are drawn until they bring `fraction`, from two
    speakers on never all of them; of one speaker, utterances. Validation is the corpus's own in
    both schemes where it has one, and else drawn by `draw_splits`.

    Args:
        speakers: each utterance's speaker.
        parts: of each, the one of SPLITS to which the corpus says that it belongs, or "".
        fraction: the share that test gets, and of the rest that validation gets, 0 to 1.
        seed: of the draw.

    Returns:
        {"utterance": ..., "speaker": ...}, each (utterances,), uint8, an index into SPLITS.

    Raises:
        InputError: the utterances are too few.
    """
    own = np.array(parts)
    is_test = own == "test"
    if len(own) < 3 or is_test.sum() > len(own) - 2:
        raise InputError(
            f"{len(own)} utterances can be used, {is_test.sum()} of them of test, too few for "
            "train, validation and test: give more"
        )
    if not is_test.any():
        free = np.flatnonzero(own != "validation")
        names = np.array(speakers)[free] if len(set(speakers)) > 1 else free.astype(str)
        draw = draw_splits(list(names), np.zeros(len(free), bool), fraction=fraction, seed=seed)
        is_test[free[draw["speaker"] == SPLITS.index("validation")]] = True
    if (own == "validation").any():
        split = np.array([SPLITS.index(part or "train") for part in parts], dtype=np.uint8)
        split[is_test] = SPLITS.index("test")
        return {"utterance": split, "speaker": split}
    return draw_splits(speakers, is_test, fraction=fraction, seed=seed + 1)
