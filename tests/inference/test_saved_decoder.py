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
    return SavedDecoder(tiny_store.phones, model, Decoder(0.75, 0.25))


def test_what_is_read_is_what_was_written(saved, tmp_path):
    saved.write(tmp_path)
    found = SavedDecoder.read(tmp_path / "phones.json")
    assert (found.phones, found.decoder) == (saved.phones, saved.decoder)
    assert found.model.shortest == saved.model.shortest
    for name in ("log_prior", "log_stay", "log_next"):
        one, other = getattr(found.model, name), getattr(saved.model, name)
        assert one.dtype == other.dtype == np.float32
        assert np.array_equal(one, other)
    assert np.isneginf(np.diag(found.model.log_next)).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.pop("shortest"),
        lambda found: found["phones"].pop(),
        lambda found: found.update(shortest=0),
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
