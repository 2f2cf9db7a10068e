"""Counts by utterance, written and read."""

import pytest

from phoneme_lightning.training.utterance_file import UTTERANCES, read_utterances, write_utterances


def test_what_is_written_is_read(tmp_path):
    counts = {"103-1240-0000": (1403, 822), 'of "TIMIT", dialect 1': (0, 0)}
    write_utterances(tmp_path, [(name, *count) for name, count in counts.items()])
    assert read_utterances(tmp_path) == counts
    assert [file.name for file in tmp_path.iterdir()] == [UTTERANCES]


@pytest.mark.parametrize(
    "text", [None, "", "utterance,frames,correct\n", "utterance,frames,correct\na,1\n", "a,3,2\n"]
)
def test_what_is_another_file_is_not_there(tmp_path, text):
    if text is not None:
        (tmp_path / UTTERANCES).write_text(text)
    assert read_utterances(tmp_path) is None
