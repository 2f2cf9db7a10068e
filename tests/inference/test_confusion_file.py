import numpy as np
import pytest

from phoneme_lightning.inference.confusion_file import read_confusion, write_confusion


def test_what_is_written_is_read(tmp_path):
    counts = np.random.default_rng(0).integers(0, 10**9, (41, 41))
    write_confusion(tmp_path, counts)
    assert (read_confusion(tmp_path) == counts).all()


@pytest.mark.parametrize("text", [None, "", "1,2\n3,4\n", "1,2\n3,\n", "no numbers\n"])
def test_what_is_not_whole_is_not_there(tmp_path, text):
    if text is not None:
        (tmp_path / "confusion-validation.csv").write_text(text)
    assert read_confusion(tmp_path) is None
