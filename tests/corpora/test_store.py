"""A store gives back what was written, and is there whole or not at all."""

import json
import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from phoneme_lightning.corpora.check import check_store
from phoneme_lightning.corpora.splits import draw_splits
from phoneme_lightning.corpora.store import SPLITS, FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import PHONES


@given(st.data(), st.lists(st.integers(1, 30), min_size=2, max_size=8), st.integers(1, 13))
def test_slices_round_trip(tmp_path_factory, data, lengths, coefficients):
    path = tmp_path_factory.mktemp("store") / "store"
    values = st.floats(-30, 30, width=32)
    features = [
        data.draw(arrays.arrays(np.float32, (n, coefficients), elements=values)) for n in lengths
    ]
    labels = [data.draw(arrays.arrays(np.int64, n, elements=st.integers(0, 40))) for n in lengths]
    labels[-1] = None
    is_test = np.arange(len(lengths)) == len(lengths) - 1
    speakers = [data.draw(st.sampled_from(["ann", "bob", "ciné"])) for _ in lengths]
    with StoreWriter(path, coefficients=coefficients) as writer:
        for number, speaker in enumerate(speakers):
            writer.add(f"u{number}", speaker, features[number], labels[number])
        writer.finish(corpus="x", splits=draw_splits(speakers, is_test), settings={}, counts={})
    store = FrameStore(path)
    assert store.lengths.tolist() == lengths
    assert store.speakers == speakers
    for number in range(len(store)):
        utterance = store[number]
        assert utterance.id == f"u{number}"
        assert np.array_equal(utterance.features, features[number])
        assert (utterance.labels is None) == (labels[number] is None)
        assert utterance.labels is None or np.array_equal(utterance.labels, labels[number])
    assert check_store(path) == []


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_splits_are_disjoint_cover_all_and_leave_test_alone(utterances, fraction, seed):
    speakers = np.array([f"s{speaker}" for speaker, _ in utterances])
    is_test = np.array([test for _, test in utterances])
    pool = int((~is_test).sum())
    splits = draw_splits(speakers, is_test, fraction=fraction, seed=seed)
    for rows in splits.values():
        assert rows.shape == is_test.shape
        assert rows.max(initial=0) < len(SPLITS)
        assert ((rows == SPLITS.index("test")) == is_test).all()
        assert (rows == SPLITS.index("train")).any() == (pool > 0)
    drawn = int((splits["utterance"] == 1).sum())
    assert drawn == max(0, min(max(1, round(fraction * pool)), pool - 1))
    train, validation = (set(speakers[splits["speaker"] == split]) for split in (0, 1))
    assert not train & validation
    assert bool(validation) == (len(set(speakers[~is_test])) > 1)
    again = draw_splits(speakers, is_test, fraction=fraction, seed=seed)
    assert all(np.array_equal(splits[scheme], again[scheme]) for scheme in splits)


def test_a_store_is_memory_mapped_and_its_schemes_are_named(tiny_store):
    assert isinstance(tiny_store.features, np.memmap)
    with pytest.raises(InputError, match=r"data\.split is 'gender', .* utterance, speaker"):
        tiny_store.split("gender", "train")


@pytest.mark.parametrize("manifest", ["", "{}", "[]", '{"format": 99}'])
def test_a_manifest_that_cannot_be_read_is_one_clear_error(tiny_store, manifest):
    (tiny_store.path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match="prepare the corpus again"):
        FrameStore(tiny_store.path)


def flip_byte(path):
    with path.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-3, os.SEEK_END)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize(
    "name", ["features.npy", "labels.npy", "offsets.npy", "splits.npy", "utterances.txt"]
)
def test_check_finds_a_flipped_byte_a_cut_and_a_loss(tiny_store, name):
    file = tiny_store.path / name
    flip_byte(file)
    assert f"{name}: its SHA-256 is not the manifest's" in check_store(tiny_store.path)
    os.truncate(file, file.stat().st_size - 1)
    assert any(line.startswith(f"{name}: ") for line in check_store(tiny_store.path))
    file.unlink()
    assert check_store(tiny_store.path) == [f"{name}: missing"]


def rewrite(store, name, change):
    array = np.load(store.path / name)
    np.save(store.path / name, change(array))


def put(index, value):
    def change(array):
        array[index] = value
        return array

    return change


def share_a_speaker(splits):
    splits[1] = np.where(splits[1] == 2, 2, np.arange(splits.shape[1]) // 4 % 2)
    return splits


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("features.npy", put((5, 3), np.nan), "features.npy: row 5 is not finite"),
        ("features.npy", lambda a: a[:-1], "features.npy: ("),
        ("features.npy", lambda a: a.astype(np.float64), "features.npy: ("),
        ("labels.npy", put(7, 41), "labels.npy: frame 7 is 41"),
        ("labels.npy", put(slice(100), -1), "labels.npy: train of"),  # all of an utterance
        ("offsets.npy", put(0, 1), "offsets.npy: from 1 to"),
        ("offsets.npy", put(3, 0), "offsets.npy: utterance 2 has no frame"),
        ("splits.npy", put((0, 2), 3), "splits.npy: an utterance is in none of"),
        ("splits.npy", put((0, 15), 0), "splits.npy: the schemes do not agree on test"),
        ("splits.npy", put((0, slice(12)), 0), "splits.npy: utterance has"),
        ("splits.npy", share_a_speaker, "speaks in train and in validation"),
    ],
)
def test_check_sees_arrays_that_do_not_fit_each_other(tiny_store, name, change, said):
    rewrite(tiny_store, name, change)
    assert any(said in line for line in check_store(tiny_store.path))


def test_check_sees_names_that_do_not_fit(tiny_store):
    file = tiny_store.path / "utterances.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-1], lines[0]]))
    assert "utterances.txt: an id stands twice" in check_store(tiny_store.path)
    file.write_text("\n".join(lines[:-1]))
    assert any("utterances.txt: 15 lines" in line for line in check_store(tiny_store.path))


def test_a_store_is_replaced_only_by_a_whole_one(tiny_store, make_store):
    before = json.loads((tiny_store.path / "manifest.json").read_text())
    with StoreWriter(tiny_store.path, coefficients=13) as writer:
        writer.add("u", "s", np.zeros((4, 13)), None)  # and no finish
    assert FrameStore(tiny_store.path).manifest == before
    assert {path.name for path in tiny_store.path.parent.iterdir()} == {"store", ".store.lock"}
    kept = tiny_store[0].features.copy()
    assert len(make_store(tiny_store.path, utterances=8, seed=1)) == 8
    assert {path.name for path in tiny_store.path.parent.iterdir()} == {"store", ".store.lock"}
    assert (tiny_store[0].features == kept).all()  # whoever had it open keeps what it had


def test_a_store_names_what_was_kept_out_of_a_split(tiny_store):
    assert tiny_store.rejected("test") == []
    rows = "id,split,reason\na-1-2,test,missing file\na-1-3,train,missing file\n"
    (tiny_store.path / "quarantine.csv").write_text(rows)
    assert tiny_store.rejected("test") == ["a-1-2"]


def test_two_writers_of_one_store_take_turns(tmp_path, make_store):
    entered = threading.Event()

    def second():
        entered.set()
        make_store(tmp_path / "store", utterances=12, seed=1)

    other = threading.Thread(target=second)
    with StoreWriter(tmp_path / "store", coefficients=13) as writer:
        other.start()
        assert entered.wait(5)
        other.join(0.3)
        assert other.is_alive()  # it waits
        writer.add("u", "s", np.zeros((4, 13)), None)
        splits = {"utterance": np.array([2]), "speaker": np.array([2])}
        writer.finish(corpus="synthetic", splits=splits, settings={}, counts={})
        assert len(FrameStore(tmp_path / "store")) == 1
    other.join(20)
    assert check_store(tmp_path / "store") == []
    assert len(FrameStore(tmp_path / "store")) == 12


def test_a_store_comes_back_if_a_kill_came_between_the_renames(tiny_store):
    old = tiny_store.path.with_name(".store.old")
    tiny_store.path.rename(old)
    with StoreWriter(tiny_store.path, coefficients=13):
        pass  # the next prepare fails as well
    assert check_store(tiny_store.path) == []


def test_a_store_names_its_phones_and_as_what_they_are_scored(tmp_path):
    with StoreWriter(tmp_path / "store", coefficients=1) as writer:
        for name in "abc":
            writer.add(name, "x", np.zeros((4, 1)), np.array([-1, 0, 1, 2]))
        splits = np.array([0, 1, 2])
        writer.finish(
            corpus="few",
            splits={"utterance": splits},
            settings={},
            counts={},
            phones=("sil", "ih", "ix"),
            scored_as={"ix": "ih"},
        )
    store = FrameStore(tmp_path / "store")
    assert store.phones == ("sil", "ih", "ix")
    assert store.scored_phones == ("sil", "ih")
    assert store.fold.tolist() == [0, 1, 1]
    assert store.has_labels(np.array([1]))
    assert check_store(store.path) == []
    manifest = json.loads((store.path / "manifest.json").read_text())
    manifest["scored_as"]["iy"] = "ih"
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    assert check_store(store.path) == ["manifest.json: scored_as names iy, of no class"]
    del manifest["phones"], manifest["scored_as"]  # as older stores are
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    assert FrameStore(store.path).phones == FrameStore(store.path).scored_phones == PHONES
