"""Batches are the store's own frames, copied; a loader goes on where another one stopped."""

import io

import numpy as np
import pytest
import torch

from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.loader import BatchLoader
from phoneme_lightning.data.sampler import BucketSampler
from phoneme_lightning.phones import IGNORE_LABEL


def loader_of(store, positions=None, *, shuffle=True, epoch=0, delta_maps=False):
    positions = np.arange(len(store)) if positions is None else positions
    sampler = BucketSampler(store.lengths[positions], 120, shuffle=shuffle)
    sampler.set_epoch(epoch)
    return BatchLoader(Frames(store), positions, sampler, delta_maps=delta_maps)


def utterances(batches):
    return [batch.utterances.tolist() for batch in batches]


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_hold_what_the_store_holds(mapped_store, shuffle):
    store, _ = mapped_store
    seen = []
    for batch in loader_of(store, shuffle=shuffle, delta_maps=True):
        assert batch.num_frames == int(batch.lengths.sum()) == int(batch.mask.sum())
        for row, position in enumerate(batch.utterances.tolist()):
            utterance, length = store[position], int(batch.lengths[row])
            assert length == len(utterance.features)
            assert np.array_equal(batch.features[row, :length], utterance.features)
            assert not batch.features[row, length:].any()
            expected = IGNORE_LABEL if utterance.labels is None else utterance.labels
            assert (batch.labels[row, :length].numpy() == expected).all()
            assert (batch.labels[row, length:] == IGNORE_LABEL).all()
            assert np.array_equal(batch.delta_maps[row], store.delta_maps[position])
            seen.append(position)
    assert sorted(seen) == list(range(len(store)))


def test_positions_choose_the_utterances(tiny_store):
    test = tiny_store.split("utterance", "test")
    drawn = [position for batch in utterances(loader_of(tiny_store, test)) for position in batch]
    assert sorted(drawn) == test.tolist()


def test_delta_maps_ride_along_only_when_asked_for(mapped_store):
    assert all(batch.delta_maps is None for batch in loader_of(mapped_store[0]))


def test_a_frame_without_a_label_is_ignored_wherever_it_stands(tiny_store):
    labels = np.load(tiny_store.path / "labels.npy")
    labels[tiny_store.offsets[2] + 3] = -1
    labels[tiny_store.offsets[4]] = -1
    np.save(tiny_store.path / "labels.npy", labels)
    store = type(tiny_store)(tiny_store.path)
    batch = Frames(store).gather(np.array([2, 4]))
    for row, position in enumerate([2, 4]):
        start, stop = store.offsets[position : position + 2]
        expected = np.where(labels[start:stop] < 0, IGNORE_LABEL, labels[start:stop])
        assert np.array_equal(batch.labels[row, : stop - start], expected)


def test_changing_a_batch_never_touches_the_store(mapped_store):
    store, _ = mapped_store
    before = {file: file.read_bytes() for file in store.path.iterdir()}
    loader = loader_of(store, delta_maps=True)
    for batch in loader:
        for tensor in (batch.features, batch.labels, batch.delta_maps):
            tensor.fill_(7)
    assert {file: file.read_bytes() for file in store.path.iterdir()} == before
    assert all((batch.features != 7).all() for batch in loader)


def through_a_checkpoint(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_another_loader_goes_on_with_the_very_next_batch(tiny_store):
    whole = utterances(loader_of(tiny_store, epoch=2))
    assert len(whole) > 4
    for done in range(len(whole) + 1):
        loader = loader_of(tiny_store, epoch=2)
        batches = iter(loader)
        for _ in range(done):
            next(batches)
        state = through_a_checkpoint(loader.state_dict())
        after = loader_of(tiny_store, epoch=2)
        after.load_state_dict(state)
        assert after.state_dict() == state  # saved again before its first batch
        # At the epoch's end the whole of the next one follows, whatever its number.
        assert utterances(after) == (whole[done:] or whole)
        assert utterances(after) == whole


def test_an_epoch_that_a_limit_cut_short_is_not_gone_on_with(tiny_store):
    loader = loader_of(tiny_store, epoch=0)
    next(iter(loader))
    after = loader_of(tiny_store, epoch=1)
    after.load_state_dict(loader.state_dict())
    assert utterances(after) == utterances(loader_of(tiny_store, epoch=1))


def test_an_iteration_left_in_the_middle_leaves_nothing_behind(tiny_store):
    loader = loader_of(tiny_store)
    whole = utterances(loader)
    next(iter(loader))
    assert utterances(loader) == whole
