import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.sweep.findings.overfitting import fall
from phoneme_lightning.sweep.findings.statistics import (
    best_of,
    jitter,
    middle,
    normal_scores,
    spread,
    swap_test,
    wilson,
)
from phoneme_lightning.sweep.findings.training_loss import rise

SHARES = st.integers(1, 2000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
SCORES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30).map(np.array)


@given(SHARES)
def test_wilson_holds_the_share_and_rises_with_it(pair):
    hits, of = pair
    low, high = wilson(hits, of)
    assert 0 <= low <= hits / of <= high <= 1
    if hits < of:
        further = wilson(hits + 1, of)
        assert low <= further[0]
        assert high <= further[1]


def test_wilson_s_published_value():
    assert wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)


@given(SCORES, st.integers(1, 20), st.floats(0.01, 0.99))
def test_the_best_of_more_is_never_worse(scores, draws, chance):
    assert best_of(scores, draws, chance) <= best_of(scores, draws + 1, chance)
    assert best_of(scores, draws, chance) <= best_of(scores, draws, min(chance + 0.1, 0.999))
    assert best_of(scores, draws, chance) in scores


def test_the_best_of_some_is_what_a_bootstrap_finds():
    draw = np.random.default_rng(0)
    scores = draw.standard_normal(20)
    drawn = draw.choice(scores, (200_000, 5)).max(axis=1)
    for chance in (0.25, 0.5, 0.75):
        # Between two neighbours, since the quantile may stand on either side of a jump.
        assert abs((drawn <= best_of(scores, 5, chance)).mean() - chance) < 0.25
        assert (drawn < best_of(scores, 5, chance)).mean() < chance + 0.01


@given(SCORES)
def test_normal_scores_keep_the_order(scores):
    deviates = normal_scores(scores)
    first, second = np.meshgrid(np.arange(len(scores)), np.arange(len(scores)))
    assert (
        np.sign(scores[first] - scores[second])
        == np.sign(np.round(deviates[first] - deviates[second], 12))
    ).all()


def test_jitter_is_the_noise_whatever_the_trend_and_a_spike():
    draw = np.random.default_rng(0)
    time = np.arange(40)
    curves = 2 * np.exp(-time / 4) - 0.01 * time + 0.05 * draw.standard_normal((500, 40))
    plain = [jitter(curve) for curve in curves]
    curves[:, 30] += 2
    assert np.mean(plain) == pytest.approx(0.05, rel=0.1)
    assert np.mean([jitter(curve) for curve in curves]) < 0.08


def test_spread_is_the_noise_that_a_parabola_leaves():
    draw = np.random.default_rng(0)
    found = []
    for _ in range(200):
        points = draw.random((20, 2))
        scores = -2 * ((points - 0.4) ** 2).sum(axis=1) + 0.3 * draw.standard_normal(20)
        found.append(spread(points, scores))
    assert np.mean(found) == pytest.approx(0.3, rel=0.15)


def test_a_swap_test_is_level_without_an_effect_and_sees_one():
    draw = np.random.default_rng(0)
    pairs = draw.standard_normal((200, 2, 20))
    chances = np.array([swap_test(*pair) for pair in pairs])
    assert 0.02 <= (chances < 0.1).mean() <= 0.17
    assert all(swap_test(one + 3, two) < 0.01 for one, two in pairs[:20])


def test_a_swap_test_takes_arms_with_missing_points():
    ours = np.array([1.0, 2.0, -np.inf, 4.0, 5.0, 6.0])
    theirs = np.array([-np.inf, 1.0, 0.5, -np.inf, 0.1, -np.inf])
    assert 0 < swap_test(ours, theirs) < 0.4
    assert swap_test(ours, np.full(6, -np.inf)) == 1.0


@given(st.floats(0.5, 50), st.floats(1.01, 5))
def test_a_deeper_fall_is_less_likely_luck(depth, more):
    time = np.linspace(0, 1, 20)

    def chance(by):
        return fall(1 - by * np.maximum(time - 0.5, 0), 1.0)[2]

    assert chance(depth * more) <= chance(depth)


def test_a_spike_is_no_rise_and_a_rise_is_no_spike():
    draw = np.random.default_rng(1)
    noise = 0.03 * draw.standard_normal(40)
    flat, high = np.ones(40) + noise, np.ones(40) + noise
    flat[20] += 1
    high[20:] += 1
    assert rise(flat)[2] < 4 < 20 < rise(high)[2]
    assert (flat - middle(flat)).max() > 0.8 > (high - middle(high)).max()
