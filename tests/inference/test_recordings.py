"""Which recordings are meant by files and folders, and what is left out."""

import pytest
import soundfile

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.recordings import find_recordings


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("in/a", "in/b", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("in/a/talk.wav", "in/b/talk.FLAC", "in/a/talk.txt", "talk.raw2"):
        (tmp_path / name).touch()


def test_a_folder_is_looked_through_and_a_file_is_taken_whatever_its_ending(inside):
    found, left_out = find_recordings(["in", "talk.raw2"])
    assert [recording.stem for recording in found] == ["a/talk", "b/talk", "talk"]
    assert left_out == []


def test_what_cannot_be_meant_is_left_out_by_name(inside):
    words = ["nowhere.wav", "in/a", "empty", "in/b/talk.FLAC", "in/a/talk.wav", "in/a/../a"]
    found, left_out = find_recordings(words)
    assert [recording.name for recording in found] == ["in/a/talk.wav"]  # however often named
    assert left_out == [
        "nowhere.wav is not there: give recordings, a folder of them, or -",
        "empty holds no recording: give one that does",
        "in/b/talk.FLAC would become talk as in/a/talk.wav does: give them apart",
    ]


def test_standard_input_goes_by_itself(inside):
    found, left_out = find_recordings(["-"])
    assert [(x.path, x.name) for x in found] == [(None, "standard input")]
    assert left_out == []
    with pytest.raises(InputError, match="goes by itself"):
        find_recordings(["in", "-"])


def test_remarks_come_before_the_first_block(inside):
    soundfile.write("in/a/talk.wav", [[0.0, 0.0]] * 8_000, 8_000)
    [recording], _ = find_recordings(["in/a"])
    said = []
    next(recording.blocks(said.append))
    assert [line.split(":")[0] for line in said] == ["2 channels", "8000 samples a second"]
