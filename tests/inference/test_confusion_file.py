import numpy as np
import pytest

from phoneme_lightning.inference.confusion_file import read_confusion, write_confusion


def test_what_is_written_is_read(tmp_path):
    counts = np.random.default_rng(0).integers(0, 10**9, (41, 41))
    write_confusion(tmp_path, counts)
    assert (read_confusion(tmp_path) == counts).all()


def test_other_phones_are_told_apart_even_where_they_are_as_many(tmp_path):
    counts = np.arange(41 * 41).reshape(41, 41)
    phones = ("ʃ, #1", *(f"p{number}" for number in range(40)))
    write_confusion(tmp_path, counts, phones)
    assert read_confusion(tmp_path) is None
    assert (read_confusion(tmp_path, phones) == counts).all()
    write_confusion(tmp_path, counts)
    assert read_confusion(tmp_path, phones) is None


@pytest.mark.parametrize("text", [None, "", "# 7\n", "1,2\n3,4\n", "1,2\n3,\n", "no numbers\n"])
def test_what_is_not_whole_is_not_there(tmp_path, text):
    if text is not None:
        (tmp_path / "confusion-validation.csv").write_text(text)
    assert read_confusion(tmp_path) is None
