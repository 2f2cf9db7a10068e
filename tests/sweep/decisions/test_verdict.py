"""The verdict: what it says of given differences, and how often it is wrong."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from phoneme_lightning.sweep.decisions import verdict
from phoneme_lightning.sweep.decisions.verdict import LEVEL, LOOKS, decide, paired_interval

ROUNDS = 2000
GAINS = st.lists(st.floats(-1, 1).map(lambda x: round(x, 4)), min_size=2, max_size=15)


def confirmed(gain, seeds=5):
    """Give the share of confirmations that end in ADOPT, with differences of deviation 1."""
    draw = np.random.default_rng(0)
    adopted = 0
    for _ in range(ROUNDS):
        differences = []
        for look in range(1, LOOKS + 1):
            differences += list(draw.normal(gain, 1.0, seeds))
            word = decide(differences, look).word
            if word != "MORE SEEDS":
                break
        adopted += word == "ADOPT"
    return adopted / ROUNDS


@given(GAINS, st.integers(1, LOOKS), st.floats(0, 0.5))
def test_each_word_means_what_the_docs_say(differences, look, min_gain):
    told = decide(differences, look, min_gain)
    low, high = paired_interval(differences)
    assert (told.word == "ADOPT") == (low > 0 and np.mean(differences) > min_gain)
    if told.word == "MORE SEEDS":
        assert look < LOOKS
        assert high > min_gain
    if look == LOOKS:
        assert told.word != "MORE SEEDS"


@given(GAINS, st.floats(0.01, 100))
def test_the_unit_does_not_matter(differences, unit):
    spread = np.std(differences)
    if 0 < spread < 1e-6:
        return
    scaled = [unit * one for one in differences]
    assert decide(scaled, 1).word == decide(differences, 1).word


def test_the_interval_is_students():
    values = [0.1, 0.3, -0.2, 0.4]
    known = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert paired_interval(values, 0.1) == pytest.approx((known.low, known.high))


def test_what_is_equal_is_held_at_once():
    assert decide([0.0] * 5, 1).word == "HOLD"
    assert decide([-0.1, -0.11, -0.12], 1).word == "HOLD"


def test_a_gain_that_is_sure_but_small_is_held():
    small = [0.0010, 0.0011, 0.0012, 0.0011, 0.0010]
    assert decide(small, 1).word == "ADOPT"
    assert decide(small, 1, min_gain=0.01).word == "HOLD"


def test_the_table_in_the_docs_is_what_is_measured():
    page = (Path(__file__).parents[3] / "docs/decisions.md").read_text()
    table = re.search(r"(?<=<!-- adopt rate -->\n\n).*?(?=\n\n<!-- end)", page, re.DOTALL)[0]
    gains, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert rows
    for seeds, *shares in rows:
        measured = [confirmed(float(gain), int(seeds)) for gain in gains[1:]]
        assert [f"{share:.1%}".replace("%", " %") for share in measured] == shares


@pytest.mark.parametrize("seeds", [3, 5])
def test_no_difference_is_seldom_adopted_over_all_looks(seeds):
    assert confirmed(0.0, seeds) <= 0.035


def test_without_the_correction_it_would_be_adopted_more_often(monkeypatch):
    monkeypatch.setattr(verdict.paired_interval, "__defaults__", (0.05,))
    assert LEVEL < 0.05
    assert confirmed(0.0) > 0.045


def test_a_large_gain_is_mostly_adopted():
    assert confirmed(1.0) >= 0.85
