"""A batch gathered in one go is bit for bit the one that is padded utterance by utterance."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.batch import Batch
from phoneme_lightning.corpora.splits import draw_splits
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.data import frames as frames_module
from phoneme_lightning.data.augment import Augmentation
from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.module import prepare
from phoneme_lightning.phones import IGNORE_LABEL

UTTERANCES = 24
AUGMENT = Augmentation(time_masks=2, coefficient_masks=1, noise=0.1, stretch=0.3)
POSITIONS = st.lists(st.integers(0, UTTERANCES - 1), min_size=1, max_size=8).map(np.array)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Give a store of utterances of 1 to 24 frames, some of them without a label here and there."""
    path = tmp_path_factory.mktemp("frames") / "store"
    draw = np.random.default_rng(0)
    speakers = ["s0", "s1", "s2"] * (UTTERANCES // 3)
    with StoreWriter(path, coefficients=13, delta_maps=True) as writer:
        for number, speaker in enumerate(speakers):
            frames = draw.standard_normal((number + 1, 13), dtype=np.float32)
            labels = draw.integers(41, size=number + 1) if number % 5 else None
            writer.add(f"u{number}", speaker, frames, labels, draw.normal(size=(13, 26)))
        is_test = np.arange(UTTERANCES) >= 18
        splits = draw_splits(speakers, is_test, fraction=0.3)
        writer.finish(corpus="lengths", splits=splits, settings={}, counts={})
    labels = np.load(path / "labels.npy")
    labels[draw.random(len(labels)) < 0.1] = -1
    np.save(path / "labels.npy", labels)
    return FrameStore(path)


def padded_one_by_one(store, positions):
    spans = [slice(store.offsets[p], store.offsets[p + 1]) for p in positions]
    labels = [store.labels[span].astype(np.int64) for span in spans]
    return Batch.collate(
        [torch.from_numpy(store.features[span].copy()) for span in spans],
        [torch.from_numpy(np.where(row < 0, IGNORE_LABEL, row)) for row in labels],
        positions.tolist(),
        [torch.from_numpy(store.delta_maps[p].copy()) for p in positions],
    )


def assert_equal_bits(batch, expected):
    for name in ("features", "labels", "lengths", "utterances", "delta_maps", "mask"):
        mine, theirs = getattr(batch, name).cpu(), getattr(expected, name)
        assert mine.dtype == theirs.dtype, name
        assert torch.equal(mine, theirs), name
    assert batch.num_frames == expected.num_frames
    assert torch.equal(batch.lengths_on_host, expected.lengths)


@given(POSITIONS)
def test_a_batch_is_the_one_padded_utterance_by_utterance(store, positions):
    batch = Frames(store).gather(positions, delta_maps=True)
    assert_equal_bits(batch, padded_one_by_one(store, positions))


def test_on_a_cpu_the_memory_map_stays_where_it_is(store):
    frames = Frames(store)
    frames.gather(np.arange(3))
    assert np.shares_memory(frames._features.numpy(), store.features)
    assert frames.place == "the memory map"


def test_nothing_before_the_net_asks_the_device_for_a_value(store):
    """A tensor on the meta device has none, so that asking is an error."""
    frames = Frames(store)
    frames.resident, frames.device = True, torch.device("meta")
    batch = frames.gather(np.array([3, 17, 0, 9]), delta_maps=True)
    assert batch.features.device == batch.labels.device == torch.device("meta")
    ready = prepare(batch, "temporal", AUGMENT, torch.Generator())
    assert ready.features.shape == (4, int(ready.lengths_on_host.max()), 39)
    assert ready.num_frames == int(ready.lengths_on_host.sum()) != batch.num_frames


@pytest.mark.gpu
@pytest.mark.parametrize(("share", "place"), [(0.25, "the GPU's"), (0.0, "through pinned memory")])
def test_a_gpu_gets_the_same_bits_from_its_own_memory_and_from_pinned(
    store, monkeypatch, share, place
):
    monkeypatch.setattr(frames_module, "SHARE_OF_FREE_MEMORY", share)
    frames = Frames(store, "cuda")
    assert place in frames.place
    positions = np.array([3, 17, 0, 9])
    for _ in range(3):  # pinned memory is used again
        batch = frames.gather(positions, delta_maps=True)
        assert batch.features.is_cuda == frames.resident
        for name in ("features", "labels", "lengths", "utterances", "delta_maps"):
            assert getattr(batch, name).is_pinned() == frames.pinned, name
        assert_equal_bits(batch.to("cuda"), padded_one_by_one(store, positions))


@pytest.mark.gpu
@pytest.mark.parametrize("share", [0.25, 0.0])
def test_a_batch_is_made_without_waiting_for_the_gpu(store, monkeypatch, share):
    monkeypatch.setattr(frames_module, "SHARE_OF_FREE_MEMORY", share)
    frames = Frames(store, "cuda")
    frames.gather(np.arange(3))  # copied there with the first batch
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = frames.gather(np.array([3, 17, 0, 9])).to("cuda")
        prepare(batch, "temporal", AUGMENT, torch.Generator("cuda").manual_seed(0))
    finally:
        torch.cuda.set_sync_debug_mode("default")
