"""Curves with a planted break, and clean ones."""

import numpy as np
import pytest

from phoneme_lightning.sweep.probes.stability import ROWS, fall, stability

STEPS = 500


def falling(jitter=0.1, seed=0, steps=STEPS, floor=1.2):
    """Give a loss that falls as losses do, and jitters by a share of itself."""
    draw = np.random.default_rng(seed)
    smooth = floor + 2.5 * np.exp(-np.arange(steps) / (steps / 10))
    return smooth * np.exp(jitter * draw.normal(size=steps))


def judge(loss, warmup=20, whole=None, given_up=None, usual=0.0):
    return stability(
        np.arange(1.0, len(loss) + 1), loss, warmup, whole or len(loss), given_up, usual
    )


@pytest.mark.parametrize("jitter", [0.02, 0.1, 0.2])
def test_a_clean_curve_rarely_counts_as_broken(jitter):
    kinds = [judge(falling(jitter, seed)).kind for seed in range(200)]
    assert kinds.count("stable") >= 194
    short = [judge(falling(jitter, seed, steps=30), 10).kind for seed in range(200)]
    assert short.count("stable") >= 190


@pytest.mark.parametrize("step", [40, 90, 130, 400])
def test_a_rise_that_stays_is_a_break_of_its_time(step):
    loss = falling()
    loss[step:] += 0.8
    found = judge(loss)
    assert found.kind == ("early" if step <= 100 else "mid")
    assert abs(found.step - step) < 12
    assert 0.5 < found.rise < 1.1


def test_a_long_warmup_makes_the_beginning_longer():
    loss = falling()
    loss[130:] += 0.8
    assert judge(loss, warmup=80).kind == "early"


def test_a_rise_that_comes_back_is_a_break_and_a_single_spike_is_none():
    loss = falling()
    loss[200:230] *= 2
    assert judge(loss).kind == "mid"
    loss = falling()
    loss[200] *= 20
    assert judge(loss).kind == "stable"


def test_a_slow_rise_is_a_break():
    loss = falling()
    loss[250:] *= np.linspace(1, 2, 250)
    assert judge(loss).kind == "mid"


def test_a_loss_that_is_wild_all_along_is_no_excuse():
    kinds = [judge(falling(jitter=1.0, seed=seed)).kind for seed in range(50)]
    assert kinds.count("stable") <= 5


@pytest.mark.parametrize(("step", "kind"), [(1, "early"), (30, "early"), (300, "mid")])
def test_no_number_is_a_break(step, kind):
    loss = falling()
    loss[step:] = np.nan
    assert judge(loss).kind == kind
    assert judge(loss).step == step + 1


def test_one_that_was_given_up_for_want_of_numbers_broke_at_its_last_row():
    loss = falling()[:60]
    found = judge(loss, whole=STEPS, given_up="nan")
    assert (found.kind, found.step) == ("early", 60)
    assert judge(loss[:0], whole=STEPS, given_up="nan").kind == "early"


def test_one_that_does_not_fall_is_stuck():
    flat = 3.7 * np.exp(0.02 * np.random.default_rng(0).normal(size=STEPS))
    assert judge(flat).kind == "stuck"
    assert judge(falling()).kind == "stable"
    assert judge(falling(), given_up="chance").kind == "stuck"
    assert fall(falling()) == pytest.approx(2.5, abs=0.4)
    assert judge(falling(), usual=4.0).kind == "stable"
    assert judge(falling(), usual=6.0).kind == "stuck"


def test_a_curve_that_is_too_short_shows_no_rise():
    loss = falling(steps=ROWS)[: ROWS - 1]
    loss[-5:] *= 3
    assert judge(loss).kind == "stuck"  # it did not fall
