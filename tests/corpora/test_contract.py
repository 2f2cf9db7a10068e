"""What every corpus promises, whatever it is made from."""

import json

import numpy as np
import pytest

from phoneme_lightning.corpora.check import check_store
from phoneme_lightning.corpora.info import describe_store
from phoneme_lightning.corpora.store import SPLITS
from phoneme_lightning.data import PhonemeDataModule
from phoneme_lightning.phones import PHONES

SCHEMES = ("utterance", "speaker")
BARE_FRAMES = {"timit", "folder"}  # the glottal stop, and what a map ignores, have no label


@pytest.fixture(params=["libriphone", "spoken", "timit", "librispeech", "folder"])
def store(request):
    return request.getfixturevalue(f"{request.param}_store")


def test_features_are_13_normalised_cepstra(store):
    assert store.coefficients == 13
    assert store.features.dtype == np.float32
    for utterance in (store[position] for position in range(len(store))):
        assert np.isfinite(utterance.features).all(), utterance.id
        mean, deviation = utterance.features.mean(axis=0), utterance.features.std(axis=0, ddof=1)
        np.testing.assert_allclose(mean, 0, atol=1e-4, err_msg=utterance.id)
        np.testing.assert_allclose(deviation, 1, atol=1e-4, err_msg=utterance.id)


def test_labels_are_classes_and_all_but_test_have_them(store):
    for scheme in SCHEMES:
        for split in SPLITS:
            for position in store.split(scheme, split):
                utterance = store[position]
                if utterance.labels is None:
                    assert (store.corpus, split) == ("libriphone", "test")
                    continue
                assert len(utterance.labels) == len(utterance.features)
                assert utterance.labels.max() < len(store.phones)
                assert utterance.labels.min() >= (-1 if store.corpus in BARE_FRAMES else 0)
                if store.corpus == "spoken":
                    assert PHONES.index("SPN") not in utterance.labels


def test_ids_are_unique_and_every_utterance_has_a_speaker(store):
    assert len(set(store.ids)) == len(store.ids) == len(store) > 0
    assert len(store.speakers) == len(store)
    assert all(store.speakers)


def test_each_scheme_parts_all_utterances(store):
    assert store.schemes == SCHEMES
    for scheme in SCHEMES:
        members = [store.split(scheme, split) for split in SPLITS]
        assert all(len(positions) for positions in members)
        assert sorted(np.concatenate(members)) == list(range(len(store)))
    tests = [store.split(scheme, "test").tolist() for scheme in SCHEMES]
    assert tests[0] == tests[1]


def test_by_speaker_train_and_validation_share_no_speaker(store):
    speakers = np.array(store.speakers)
    train, validation = (set(speakers[store.split("speaker", x)]) for x in SPLITS[:2])
    assert not train & validation


def test_the_store_is_sound_and_can_be_described(store):
    assert check_store(store.path) == []
    description = describe_store(store)
    assert json.loads(json.dumps(description)) == description
    assert description["corpus"] == store.corpus
    assert description["coefficients"] == 13
    assert description["frames"] == len(store.features)
    assert sum(row["frames"] for row in description["phones"]) == description["labelled_frames"]
    for scheme in SCHEMES:
        rows = description["splits"][scheme]
        assert list(rows) == list(SPLITS)
        assert sum(row["frames"] for row in rows.values()) == len(store.features)
        assert rows["train"]["labelled"]
        assert rows["validation"]["labelled"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_batches_of_each_split_are_39_wide_finite_and_whole(store, scheme):
    data = PhonemeDataModule(corpus=str(store.path), split=scheme, frames_per_batch=2_000)
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    for split, loader in zip(SPLITS, loaders, strict=True):
        seen = []
        for raw in loader:
            batch = data.on_after_batch_transfer(raw, 0)
            assert batch.features.shape[2] == 39
            assert batch.features.isfinite().all()
            assert batch.num_frames == int(batch.mask.sum())
            known = batch.labels[batch.mask] >= 0
            bare = store.corpus in BARE_FRAMES or (split == "test" and not data.test_has_labels)
            assert known.all() or bare
            seen += batch.utterances.tolist()
        assert sorted(seen) == store.split(scheme, split).tolist()
