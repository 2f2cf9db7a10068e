"""Two sides beside each other: which are meant, how far luck goes, what differs."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.commands import compare
from phoneme_lightning.sweep.decisions.comparison import compare as compare_sides
from phoneme_lightning.sweep.decisions.intervals import (
    over_search,
    over_seeds,
    over_speakers,
    over_utterances,
)
from phoneme_lightning.sweep.decisions.side import find_side
from phoneme_lightning.sweep.round import Objective
from phoneme_lightning.training.utterance_file import write_utterances

ROOT = Path("runs/rounds")
ACCURACY = Objective()


@pytest.mark.parametrize(
    ("name", "trial", "among"),
    [
        ("lr", "p001-cosine-s0", 8),
        ("runs/rounds/lr", "p001-cosine-s0", 8),
        ("lr:constant", "p001-constant-s0", 4),
        ("lr:p002-cosine-s0", "p002-cosine-s0", 1),
        ("runs/rounds/lr:p002-cosine-s0", "p002-cosine-s0", 1),
        ("runs/rounds/lr/trials/p002-cosine-s0", "p002-cosine-s0", 1),
        ("runs/rounds/lr/trials/p002-cosine-s0/attempt-1", "p002-cosine-s0", 1),
    ],
)
def test_a_side_is_a_round_an_arm_or_a_trial(searched, name, trial, among):
    side = find_side(name, ROOT)
    assert [one.trial for one in side.trials] == [trial]
    assert len(side.searched) == among


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lr:cosin", "did you mean cosine"),
        ("lr:", "ends with a colon"),
        ("nothing", "no round 'nothing'"),
    ],
)
def test_a_side_that_is_not_there_is_refused_in_a_line(searched, name, told):
    with pytest.raises(InputError, match=told) as refused:
        find_side(name, ROOT)
    assert "\n" not in str(refused.value)


def test_seeds_of_a_point_are_one_side(confirmed):
    folder, _ = confirmed([0.6, 0.62, 0.61], [0.5, 0.55, 0.51])
    side = find_side(f"{folder.path}:candidate", ROOT)
    assert side.by_seed() == {1: 0.6, 2: 0.62, 3: 0.61}
    assert side.value == pytest.approx(0.61)


def test_paired_seeds_give_students_interval_and_others_welchs():
    ours, theirs = {1: 0.6, 2: 0.7, 3: 0.62}, {1: 0.5, 2: 0.61, 3: 0.5}
    paired = over_seeds(ours, theirs)
    known = stats.ttest_rel(list(ours.values()), list(theirs.values())).confidence_interval()
    assert (paired.low, paired.high) == pytest.approx((known.low, known.high))
    other = over_seeds(ours, {seed + 10: score for seed, score in theirs.items()})
    one, two = list(ours.values()), list(theirs.values())
    known = stats.ttest_ind(one, two, equal_var=False).confidence_interval()
    assert (other.low, other.high) == pytest.approx((known.low, known.high))


def test_one_seed_has_no_interval_and_says_why():
    alone = over_seeds({0: 0.5}, {0: 0.4})
    assert alone.low is None
    assert "confirm" in alone.told


def test_utterances_are_drawn_in_pairs(searched, count):
    """Utterances differ by far more than the sides do, so only pairs show the difference."""
    level = np.random.default_rng(0).integers(20, 70, 60)
    count(searched, "p000-cosine-s0", level + 5)
    count(searched, "p000-constant-s0", level + np.arange(60) % 3)
    ours, theirs = (searched.attempt(f"p000-{arm}-s0", 1) for arm in ("cosine", "constant"))
    found = over_utterances([ours], [theirs], ACCURACY)
    assert 0.03 < found.low < 0.04 < found.high < 0.05
    opposite = over_utterances([theirs], [ours], ACCURACY)
    assert (opposite.low, opposite.high) == pytest.approx((-found.high, -found.low), abs=0.002)


def test_without_counts_of_the_same_utterances_there_is_no_interval(searched, count):
    ours, theirs = (searched.attempt(f"p000-{arm}-s0", 1) for arm in ("cosine", "constant"))
    count(searched, "p000-cosine-s0", [1, 2, 3])
    assert "utterances-validation.csv" in over_utterances([ours], [theirs], ACCURACY).told
    count(searched, "p000-constant-s0", [1, 2])
    assert "other utterances" in over_utterances([ours], [theirs], ACCURACY).told
    loss = Objective("val/loss", "min")
    assert "frame_accuracy" in over_utterances([ours], [ours], loss).told


def test_speakers_of_one_size_give_students_interval_of_their_gains(tmp_path):
    """What a speaker says is all alike here, so utterances drawn anew promise too much."""
    gains = np.random.default_rng(0).normal(0.02, 0.03, 12).round(2)
    for side, of_side in (("ours", gains), ("theirs", 0 * gains)):
        (tmp_path / side).mkdir()
        rows = [
            (f"{speaker}-1-{number:04}", 100, round(50 + 100 * gain))
            for speaker, gain in enumerate(of_side)
            for number in range(9)
        ]
        write_utterances(tmp_path / side, rows)
    folders = [tmp_path / "ours"], [tmp_path / "theirs"]
    found = over_speakers(*folders, ACCURACY)
    known = stats.ttest_1samp(gains, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    narrow = over_utterances(*folders, ACCURACY)
    assert found.low < narrow.low < narrow.high < found.high


def test_names_that_tell_no_speakers_have_no_interval_of_them(searched, count):
    for arm in ("cosine", "constant"):
        count(searched, f"p000-{arm}-s0", [1, 2, 3])
    ours, theirs = (searched.attempt(f"p000-{arm}-s0", 1) for arm in ("cosine", "constant"))
    assert "tell no two speakers" in over_speakers([ours], [theirs], ACCURACY).told


def test_two_arms_get_the_same_points_when_they_are_drawn_anew(searched):
    """Cosine is ahead at every point, by 0.02 to 0.08, so it is ahead in every draw."""
    found = over_search(find_side("lr:cosine", ROOT), find_side("lr:constant", ROOT))
    assert 0.02 <= found.low <= 0.08 <= found.high + 1e-9
    whole = over_search(find_side("lr", ROOT), find_side("lr:constant", ROOT))
    assert "best of 4 points each" in whole.told
    assert whole.low < 0.02


def test_a_named_trial_was_not_searched_for(searched):
    found = over_search(find_side("lr:p001-cosine-s0", ROOT), find_side("lr:constant", ROOT))
    assert found.low is None


def test_a_comparison_tells_settings_cost_and_who_is_ahead(searched):
    sides = [find_side(name, ROOT) for name in ("lr:constant", "lr:cosine")]
    told = compare_sides(*sides)
    assert told.difference == pytest.approx(-0.08)
    assert told.better == "lr:cosine"
    assert told.settings == {"model.schedule": ("constant", "cosine")}
    assert told.costs[0].parameters == 99
    assert told.costs[0].step_seconds == pytest.approx(2.5 / 30)


def test_the_command_prints_lines_or_json(searched, capsys):
    compare("lr:cosine", "lr:p000-constant-s0", as_json=True, root=ROOT)
    told = json.loads(capsys.readouterr().out)
    assert told["difference"] == pytest.approx(0.1)
    assert [one["luck"] for one in told["intervals"]] == [
        *("utterances", "speakers", "seeds", "search")
    ]
    compare("lr:cosine", "lr:p000-constant-s0", as_json=False, root=ROOT)
    printed = capsys.readouterr().out
    assert "difference, the first less the second: +0.1000; lr:cosine is ahead" in printed
    assert printed.count("no interval") == 4
    assert "lr: 0.001 and 0.0001" in printed


def test_what_was_validated_on_two_corpora_is_not_compared(searched, capsys):
    compare("lr:cosine", "lr:constant", as_json=False, root=ROOT)
    assert "corpora" not in capsys.readouterr().out
    for trial, corpus in (("p001-cosine-s0", "spoken"), ("p001-constant-s0", "libriphone")):
        told = {"corpus": {"name": corpus, "manifest_sha256": "0123456789abcdef"}}
        (searched.attempt(trial, 1) / "environment.json").write_text(json.dumps(told))
    compare("lr:cosine", "lr:constant", as_json=False, root=ROOT)
    told = "validated on two corpora, spoken 0123456789ab and libriphone 0123456789ab"
    assert told in capsys.readouterr().out
