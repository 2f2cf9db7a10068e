"""Train and validation, drawn once when a corpus is prepared, and kept in its store."""

from collections.abc import Sequence

import numpy as np

from phoneme_lightning.corpora.store import SPLITS

__all__ = ["draw_splits"]


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
