"""The baselines on a corpus whose answers are known."""

import numpy as np
import pytest

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.inference.baselines import linear_probe, silence_share
from phoneme_lightning.phones import NUM_PHONES, SILENCE


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    """Utterances whose frames lie near their class's own point; the last has random labels."""
    draw = np.random.default_rng(0)
    points = draw.normal(size=(NUM_PHONES, 13))
    path = tmp_path_factory.mktemp("stores") / "points"
    with StoreWriter(path, coefficients=13) as writer:
        for name in range(12):
            labels = draw.integers(0, NUM_PHONES, 60).repeat(6)
            features = (points[labels] + 0.1 * draw.normal(size=(360, 13))).astype(np.float32)
            shown = labels if name < 11 else draw.integers(0, NUM_PHONES, 360)
            writer.add(f"u{name}", "s", features, shown)
        writer.finish(corpus="points", splits={"all": np.zeros(12)}, settings={}, counts={})
    return FrameStore(path)


def test_silence_share_counts_labelled_frames_only(store: FrameStore) -> None:
    labels = store.labels[: 3 * 360]
    assert silence_share(store, np.arange(3)) == (labels == SILENCE).mean()


def test_the_probe_finds_what_is_linear_and_nothing_where_nothing_is(store: FrameStore) -> None:
    assert linear_probe(store, np.arange(8), np.arange(8, 11)) > 0.9
    assert linear_probe(store, np.arange(8), np.array([11])) < 0.1


def test_the_probe_is_the_same_every_time(store: FrameStore) -> None:
    scores = {linear_probe(store, np.arange(3), np.arange(3, 5)) for _ in range(2)}
    assert len(scores) == 1
