"""A store whose utterances carry the map of their own deltas, as libriphone's do."""

import numpy as np
import pytest

from phoneme_lightning.corpora.splits import draw_splits
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter


def standardise(x):
    return (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)


@pytest.fixture
def mapped_store(tmp_path):
    """Give a store with delta maps, and the 39 coefficients that each utterance had."""
    draw = np.random.default_rng(0)
    speakers = [f"s{number % 3}" for number in range(12)]
    whole = []
    with StoreWriter(tmp_path / "mapped", coefficients=13, delta_maps=True) as writer:
        for number, speaker in enumerate(speakers):
            frames = int(draw.integers(20, 40))
            cepstra = standardise(draw.normal(size=(frames, 13)))
            derived = cepstra @ draw.normal(size=(13, 26))
            delta_map = np.linalg.lstsq(cepstra, standardise(derived), rcond=None)[0]
            labels = draw.integers(0, 41, frames) if number < 9 else None
            writer.add(f"u{number}", speaker, cepstra, labels, delta_map)
            whole.append(np.hstack([cepstra, standardise(derived)]))
        writer.finish(
            corpus="mapped",
            splits=draw_splits(speakers, np.arange(12) >= 9, fraction=0.3),
            settings={},
            counts={},
        )
    return FrameStore(tmp_path / "mapped"), whole
