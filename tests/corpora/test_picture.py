"""The picture of an utterance."""

import re
import struct

import numpy as np
import pytest

from phoneme_lightning.corpora.picture import MANNERS, draw_utterance
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import PHONES


def size(png):
    header = png.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", header[16:])


def words(svg):
    return re.findall(r"<!-- (.*?) -->", svg.read_text())


def test_every_phone_has_one_manner():
    assert sorted(" ".join(phones for _, phones in MANNERS.values()).split()) == sorted(PHONES)


def test_a_picture_grows_with_its_bands(tiny_store, tmp_path):
    utterance = tiny_store[0]
    plain = size(draw_utterance(utterance, tmp_path / "plain.png"))
    predicted = draw_utterance(utterance, tmp_path / "new" / "p.png", predictions=utterance.labels)
    assert plain[0] == size(predicted)[0] >= 1500
    assert size(predicted)[1] > plain[1] >= 300


def test_a_picture_says_the_accuracy_and_the_phones(tiny_store, tmp_path):
    utterance = tiny_store[0]
    predictions = np.array(utterance.labels)
    predictions[: len(predictions) // 2] = PHONES.index("ZH")
    right = (predictions == utterance.labels).mean()
    said = words(draw_utterance(utterance, tmp_path / "x.svg", predictions=predictions))
    assert any(f"{utterance.id} " in word and f"accuracy {right:.1%}" in word for word in said)
    assert {PHONES[phone] for phone in predictions} <= set(said)
    assert {"differs", "predicted", "labels", "seconds"} <= set(said)


def test_without_labels_there_is_only_what_is_known(make_store, tmp_path):
    store = make_store(tmp_path / "store", labelled_test=False)
    said = words(draw_utterance(store[15], tmp_path / "x.svg"))
    assert any(word.endswith("no labels") for word in said)
    assert not {"labels", "predicted", "vowel"} & set(said)


def test_an_ending_that_is_no_picture_is_an_error(tiny_store, tmp_path):
    with pytest.raises(InputError, match=r"must end in one of: \.png, \.pdf, \.svg"):
        draw_utterance(tiny_store[0], tmp_path / "x.bmp")
