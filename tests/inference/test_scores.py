"""The halves of the test split stay what they are, and the list of scores stays whole."""

import json
from concurrent.futures import ThreadPoolExecutor
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from phoneme_lightning.inference.scores import append_score, is_public, split_score


def test_the_halves_are_fixed_by_the_id() -> None:
    ids = ["2007-149877-0023", "103-1240-0000", "spoken-0001", "spoken-0002", "a", "b"]
    assert [is_public(utterance) for utterance in ids] == [False, True, False, False, True, True]


def test_the_halves_are_about_even() -> None:
    share = np.mean([is_public(f"{speaker}-0-{n:04}") for speaker in range(50) for n in range(20)])
    assert 0.45 < share < 0.55


def test_frames_are_scored_in_their_half() -> None:
    public = next(name for name in map(str, range(20)) if is_public(name))
    private = next(name for name in map(str, range(20)) if not is_public(name))
    labels = [np.array([1, 2, -1, 4], dtype=np.int8), np.array([1, 2])]
    scores = split_score([public, private], [np.array([1, 0, 0, 4]), np.array([0, 0])], labels)
    assert scores.public == pytest.approx(2 / 3)
    assert scores.private == 0.0
    assert (scores.public_frames, scores.private_frames) == (3, 2)
    assert isnan(split_score([public], labels[:1], labels[:1]).private)


def test_predictions_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="utt-7"):
        split_score(["utt-7"], [np.zeros(3)], [np.zeros(4)])


def test_runs_that_append_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "scores.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: append_score({"run": n, "long": "x" * 9000}, path), range(100)))
    runs = [json.loads(line)["run"] for line in path.read_text().splitlines()]
    assert sorted(runs) == list(range(100))
