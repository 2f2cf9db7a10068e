"""prediction.csv: what it says, that it comes back, and that it is whole or not there."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.submission import read_submission, write_submission


def test_frames_are_numbered_through_all_utterances(tmp_path: Path) -> None:
    path = tmp_path / "new" / "prediction.csv"
    write_submission(path, [np.array([7, 0]), np.array([40], dtype=np.int8)], expected_frames=3)
    assert path.read_bytes() == b"Id,Class\n0,7\n1,0\n2,40\n"


@settings(deadline=None, max_examples=20)
@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=6), min_size=1, max_size=4))
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, utterances: list[list[int]]
) -> None:
    path = tmp_path_factory.mktemp("round") / "prediction.csv"
    flat = [phone for utterance in utterances for phone in utterance]
    write_submission(path, map(np.array, utterances), expected_frames=len(flat))
    assert read_submission(path).tolist() == flat


@pytest.mark.parametrize(
    "predictions", [[np.zeros(2, int)], [np.zeros((3, 41), int)], [np.zeros(3)]]
)
def test_wrong_predictions_leave_the_old_file(
    tmp_path: Path, predictions: list[np.ndarray]
) -> None:
    path = tmp_path / "prediction.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="3 frames"):
        write_submission(path, predictions, expected_frames=3)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_failure_while_writing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prediction.csv"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_submission(path, [np.zeros(3, int)], expected_frames=3)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,class\n0,1\n", "begins with"),
        ("Id,Class\n1,1\n", "run from 0"),
        ("Id,Class\n0,SIL\n", "cannot be read"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_submission(path)
    assert "\n" not in str(error.value)
