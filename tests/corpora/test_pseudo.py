"""A store with predicted labels: what is added, what stays, and what is never looked at."""

import numpy as np
import pytest

from phoneme_lightning.corpora.check import check_store
from phoneme_lightning.corpora.pseudo import pseudo_label
from phoneme_lightning.corpora.store import SPLITS, FrameStore
from phoneme_lightning.errors import InputError


@pytest.fixture(params=["labelled", "unlabelled", "libriphone"])
def store(request, tmp_path, make_store):
    """Give a store whose test speakers also speak in train or in validation."""
    if request.param == "libriphone":
        return request.getfixturevalue("libriphone_store")
    return make_store(tmp_path / "store", labelled_test=request.param == "labelled")


def predicted(store, classes=41):
    """Give a prediction of the test split, which no label had a part in."""
    frames = store.lengths[store.split("speaker", "test")].sum()
    return np.random.default_rng(0).integers(classes, size=frames)


def test_the_old_store_stays_and_copies_are_trained_on(store, tmp_path):
    classes = predicted(store)
    new = FrameStore(pseudo_label(store, classes, tmp_path / "new"))
    assert check_store(new.path) == []
    for position in range(len(store)):
        old, same = store[position], new[position]
        assert (same.id, same.speaker) == (old.id, old.speaker)
        assert np.array_equal(same.features, old.features)
        assert (same.labels is None) == (old.labels is None)
        assert old.labels is None or np.array_equal(same.labels, old.labels)
    assert np.array_equal(new.splits[:, : len(store)], store.splits)
    assert (new.splits[:, len(store) :] == SPLITS.index("train")).all()
    test = store.split("speaker", "test")
    places = dict(zip(store.ids, range(len(store)), strict=True))
    ends = dict(zip(test.tolist(), store.lengths[test].cumsum().tolist(), strict=True))
    copies = range(len(store), len(new))
    assert len(copies) > 0
    for position in copies:
        copy, place = new[position], places[new.ids[position].removeprefix("pseudo-")]
        end = ends[place]
        assert np.array_equal(copy.features, store[place].features)
        assert np.array_equal(copy.labels, classes[end - len(copy.labels) : end])
        if store.delta_maps is not None:
            assert np.array_equal(new.delta_maps[position], store.delta_maps[place])


def test_no_speaker_of_validation_comes_into_train(store, tmp_path):
    new = FrameStore(pseudo_label(store, predicted(store), tmp_path / "new"))
    speakers = np.array(store.speakers)
    new_ones = set(speakers[store.split("speaker", "validation")])
    theirs = [p for p in store.split("speaker", "test") if speakers[p] in new_ones]
    assert theirs, "the corpus does not show it"
    assert not {f"pseudo-{store.ids[p]}" for p in theirs} & set(new.ids)
    assert len(new) == len(store) + len(store.split("speaker", "test")) - len(theirs)


def test_what_is_no_prediction_of_this_store_is_refused(tiny_store, tmp_path):
    good = predicted(tiny_store)
    for bad in (good[:-1], good + 41, good - 41):
        with pytest.raises(InputError, match="give a prediction of this corpus"):
            pseudo_label(tiny_store, bad, tmp_path / "new")
    with pytest.raises(InputError, match="the store itself"):
        pseudo_label(tiny_store, good, tiny_store.path)
    new = FrameStore(pseudo_label(tiny_store, good, tmp_path / "new"))
    more = np.zeros(new.lengths[new.split("speaker", "test")].sum(), dtype=int)
    with pytest.raises(InputError, match="the store it was made from"):
        pseudo_label(new, more, tmp_path / "newer")
