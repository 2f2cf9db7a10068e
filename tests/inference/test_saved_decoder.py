"""phones.json: what is read is what was written, and what is none is refused by name."""

import json

import numpy as np
import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.decoding import Decoder, learn_phones
from phoneme_lightning.inference.saved_decoder import SavedDecoder


@pytest.fixture
def saved(tiny_store):
    model = learn_phones(tiny_store, tiny_store.split("utterance", "train"))
    return SavedDecoder(tiny_store.phones, model, Decoder(0.75, 0.25), (800, 1200))


def test_what_is_read_is_what_was_written(saved, tmp_path):
    saved.write(tmp_path)
    found = SavedDecoder.read(tmp_path / "phones.json")
    assert (found.phones, found.decoder, found.steps) == (saved.phones, saved.decoder, saved.steps)
    assert len(set(saved.model.shortest)) > 1
    for name in ("log_prior", "log_stay", "log_next", "shortest"):
        one, other = getattr(found.model, name), getattr(saved.model, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert np.isneginf(np.diag(found.model.log_next)).all()


def test_an_older_one_has_one_shortest_run_for_all_phones_and_knows_no_steps(saved, tmp_path):
    saved.write(tmp_path)
    file = tmp_path / "phones.json"
    found = json.loads(file.read_text())
    del found["steps"]
    file.write_text(json.dumps(found | {"shortest": 3}))
    older = SavedDecoder.read(file)
    assert older.model.shortest.tolist() == [3] * 41
    assert older.steps == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.pop("shortest"),
        lambda found: found["phones"].pop(),
        lambda found: found.update(shortest=0),
        lambda found: found["shortest"].pop(),
        lambda found: found.update(shortest=[0, *found["shortest"][1:]]),
        lambda found: found.update(log_prior="no list"),
        lambda found: found["log_next"].pop(),
    ],
)
def test_what_is_none_is_refused_by_name(saved, tmp_path, change):
    saved.write(tmp_path)
    file = tmp_path / "phones.json"
    found = json.loads(file.read_text())
    change(found)
    file.write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"--phones .*phones\.json cannot be read"):
        SavedDecoder.read(file)


def test_a_missing_one_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="ensemble CKPT --decode"):
        SavedDecoder.read(tmp_path / "phones.json")
