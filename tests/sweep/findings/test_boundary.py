from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.sweep.findings.boundary import beyond, boundary
from phoneme_lightning.sweep.findings.calibrate import naive_boundary
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.simulate import World, simulate
from phoneme_lightning.sweep.findings.statistics import rises
from phoneme_lightning.sweep.spaces import Int, Log, Uniform

KEY = "model.optimizer.init_args.lr"


def with_space(evidence, **changes):
    nuisance = {**evidence.round.nuisance}
    nuisance[KEY] = replace(nuisance[KEY], **changes)
    return Evidence(replace(evidence.round, nuisance=nuisance), evidence.trials, evidence.curves)


def bounds(least, most):
    numbers = st.floats(least, most)
    return (
        st.tuples(numbers, numbers, numbers, numbers)
        .map(sorted)
        .filter(lambda four: four[1] < four[2])
    )


@given(bounds(1e-6, 1e6), st.booleans(), st.sampled_from([Log, Uniform]))
def test_a_proposed_bound_is_further_out_and_never_beyond_hard(four, upper, kind):
    bottom, low, high, top = four
    space = kind(low, high, hard=[bottom, top])
    new = beyond(space, upper)
    if new is None:
        assert (high == top) if upper else (low == bottom)
    else:
        assert high < new <= top if upper else bottom <= new < low


@pytest.mark.parametrize(
    ("space", "upper", "proposed"),
    [
        (Log(1e-3, 1e-1), True, 1.0),
        (Log(1e-3, 1e-1), False, 1e-4),
        (Log(1e-3, 1e-1, hard=[None, 0.5]), True, 0.5),
        (Uniform(0.1, 0.4), True, 0.7),
        (Uniform(0.0, 0.4), False, None),
        (Uniform(-1.0, 1.0), False, -3.0),
        (Int(1, 4), True, 7),
        (Int(1, 4), False, None),
        (Int(2, 4), False, 1),
        (Int(16, 256, log=True), True, 2560),
        (Log(1e-3, 1e-1, natural_bound="high"), True, None),
        (Log(1e-3, 1e-1, natural_bound="both"), False, None),
    ],
)
def test_the_proposed_bound(space, upper, proposed):
    assert beyond(space, upper) == (None if proposed is None else pytest.approx(proposed))


@pytest.mark.parametrize("seed", range(5))
def test_an_edge_optimum_is_told_with_its_side_and_a_bound_to_try(seed):
    evidence = simulate(World(2, optimum=1.2, others=1), seed)
    space = evidence.round.nuisance[KEY]
    found = [one for one in boundary(evidence) if one.verdict in ("warn", "block")]
    assert {one.key for one in found} == {KEY}
    best = np.mean(
        [space.coordinate(evidence.completed(a)[0].values[KEY]) for a in evidence.arms()]
    )
    for one in found:
        assert one.numbers["upper"] == (best > 0.5)
        assert one.numbers["proposed"] == pytest.approx(beyond(space, one.numbers["upper"]))
        assert one.figure == f"axis:{KEY}"


def test_a_bound_that_cannot_move_is_not_judged():
    evidence = simulate(World(2, optimum=1.2, others=1), 0)
    assert any(one.verdict == "block" for one in boundary(evidence))
    for changes in ({"natural_bound": "both"}, {"hard": [1e-4, 1e-1]}):
        found = boundary(with_space(evidence, **changes))
        assert [one.verdict for one in found] == ["ok"]


def test_points_of_an_adaptive_sampler_only_inform():
    evidence = simulate(World(2, optimum=1.2, others=1), 0)
    sampler = replace(evidence.round.sampler, kind="tpe")
    adaptive = Evidence(replace(evidence.round, sampler=sampler), evidence.trials, evidence.curves)
    assert {one.verdict for one in boundary(adaptive)} <= {"info", "ok"}
    hints = [one.sentence for one in boundary(adaptive) if one.verdict == "info"]
    assert hints
    assert all("it is a hint" in hint and "probably" not in hint for hint in hints)


def test_it_alarms_far_less_than_the_eye_where_there_is_no_effect():
    rounds = [simulate(World(4, arms=1, effect=0), seed) for seed in range(150)]
    ours = sum(one[0].verdict != "ok" for one in map(boundary, rounds))
    assert ours <= 10
    assert sum(map(naive_boundary, rounds)) >= 45


SEEDS = st.integers(0, 1000)


@given(SEEDS, st.floats(1e-3, 1e3), st.floats(-10, 10))
def test_a_rise_does_not_depend_on_units(seed, scale, shift):
    draw = np.random.default_rng(seed)
    points, scores = draw.random((20, 2)), draw.standard_normal(20)
    for old, new in zip(rises(points, scores), rises(points, scale * scores + shift), strict=True):
        for one, two in zip(old, new, strict=True):
            assert two.trend == pytest.approx(one.trend, abs=1e-6)
            assert two.still == pytest.approx(one.still, abs=1e-6)


@given(SEEDS)
def test_a_mirrored_space_rises_to_the_other_bound(seed):
    draw = np.random.default_rng(seed)
    points, scores = draw.random((20, 2)), draw.standard_normal(20)
    mirrored = points * [-1, 1] + [1, 0]
    (low, high), _ = rises(points, scores)
    (left, right), _ = rises(mirrored, scores)
    assert left.still == pytest.approx(high.still, abs=1e-6)
    assert right.trend == pytest.approx(low.trend, abs=1e-6)


def test_too_few_points_are_not_fitted():
    draw = np.random.default_rng(0)
    assert rises(draw.random((14, 4)), draw.standard_normal(14)) is None
    assert rises(draw.random((15, 4)), draw.standard_normal(15)) is not None
