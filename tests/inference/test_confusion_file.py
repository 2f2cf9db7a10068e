import numpy as np
import pytest

from phoneme_lightning.inference.confusion_file import read_confusion, write_confusion
from phoneme_lightning.phones import PHONES


def test_what_is_written_is_read(tmp_path):
    counts = np.random.default_rng(0).integers(0, 10**9, (41, 41))
    write_confusion(tmp_path, counts)
    found = read_confusion(tmp_path)
    assert found.phones == PHONES
    assert (found.counts == counts).all()


def test_other_phones_keep_their_names_even_where_they_are_as_many(tmp_path):
    counts = np.arange(41 * 41).reshape(41, 41)
    phones = ("ʃ, #1", *(f"p{number}" for number in range(40)))
    write_confusion(tmp_path, counts, phones)
    found = read_confusion(tmp_path)
    assert found.phones == phones
    assert (found.counts == counts).all()


@pytest.mark.parametrize(
    "text", [None, "", "# 7\n", "1,2\n3,4\n", "1,2\n3,\n", "no numbers\n", '# ["a"]\n1,2\n3,4\n']
)
def test_what_is_not_whole_is_not_there(tmp_path, text):
    if text is not None:
        (tmp_path / "confusion-validation.csv").write_text(text)
    assert read_confusion(tmp_path) is None
