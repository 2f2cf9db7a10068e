"""What probes say of measurements whose truth is known."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.keys import LEARNING_RATE
from phoneme_lightning.sweep.probes.batch import ENOUGH, Size, bottleneck, growth, judge_sizes, knee
from phoneme_lightning.sweep.probes.lr import Setting, judge_rates
from phoneme_lightning.sweep.probes.sizes import candidates, has_settled, too_much_memory
from phoneme_lightning.sweep.probes.stability import Stability
from phoneme_lightning.sweep.probes.steps import Fit, first_fit, grid, judge_fits
from phoneme_lightning.sweep.probes.warmup import judge_ladder, ladder

KEY = "data.frames_per_batch"


def sizes(most, *, first=1000, count=8, start=0.01, wait=0.0, memory=2**20):
    """Give a machine whose steps take `start` seconds, and longer where `most` frames/s are hit."""
    found = []
    for frames in (first * 2**power for power in range(count)):
        seconds = max(start, frames / most)
        found.append(
            Size(frames, frames, seconds / (1 - wait), wait, 2**28 + memory * frames // 1000)
        )
    return found


def test_the_knee_is_where_throughput_stops_rising():
    measured = sizes(most=800_000)  # 8,000 frames in 0.01 s
    assert knee(measured).frames_per_batch == 8000
    assert growth(measured) == pytest.approx(2)
    finding, advice = judge_sizes(measured, 4000, "", False)
    assert finding.numbers["bottleneck"] == "none"
    assert finding.verdict == "info"
    assert advice.settings == {KEY: 8000}
    assert judge_sizes(measured, 8000, "", False)[1].settings == {}


def test_a_busy_machine_is_told_from_one_that_waits_and_one_that_is_full():
    busy = sizes(most=100_000)
    assert knee(busy).frames_per_batch == 1000
    assert bottleneck(busy, False) == "computing"
    slow = [replace(one, seconds_a_step=0.01 * 1.5**n) for n, one in enumerate(busy)]
    assert bottleneck(slow, False) == "computing"
    waiting = sizes(most=800_000, wait=0.3)
    assert bottleneck(waiting, False) == "reading"
    assert judge_sizes(waiting, 1000, "", False)[0].verdict == "warn"
    full = sizes(most=1e9, count=4)
    assert bottleneck(full, True) == "memory"
    assert bottleneck(full, False) == "none"
    assert bottleneck(full[:1], True) == "unknown"
    assert judge_sizes(full[:1], 1000, "", True)[1].settings == {}


def test_nothing_is_said_of_sizes_that_were_not_measured():
    rising = [Size(n, n, 0.1, 0.0, 1) for n in (1000, 2000, 4000)]
    said = judge_sizes(rising, 1000, "--most", False)[0].sentence
    assert said.startswith("Training gets faster up to 4,000 frames a batch, the largest measured")
    assert judge_sizes(rising[:1], 1000, "--most", False)[0].sentence.startswith("Only 1,000")


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=12))
def test_the_knee_is_enough_and_no_smaller_size_is(rates):
    measured = [Size(n, n, n / rate, 0.0, 1) for n, rate in enumerate(rates, 1)]
    best = knee(measured)
    assert best.frames_per_second >= ENOUGH * max(rates) * (1 - 1e-9)
    assert all(
        one.frames_per_second < ENOUGH * max(rates) * (1 + 1e-9)
        for one in measured[: best.frames_per_batch - 1]
    )


def test_sizes_begin_low_and_end_with_the_training_set():
    assert candidates(8000, [100] * 500, None) == [1000, 2000, 4000, 8000, 16000, 32000]
    assert candidates(8000, [100] * 500, 4000) == [1000, 2000, 4000]
    assert candidates(8000, [1500] * 500, 4000) == [2000, 4000]  # no size below an utterance
    with pytest.raises(InputError, match="--most"):
        candidates(8000, [1500] * 500, 1400)


def test_measuring_ends_where_nothing_is_gained_or_memory_would_go():
    measured = sizes(most=3_200_000)  # rises up to 32,000
    assert [has_settled(measured[:n]) for n in range(1, 9)] == [False] * 7 + [True]
    # 32,000 frames take 288 MiB, the next size 320 more than the 256 that any takes.
    small = sizes(most=1e9, memory=2**20)
    assert not too_much_memory(small[:6], 2 * 321 * 2**20)
    assert too_much_memory(small[:6], 2 * 319 * 2**20)
    assert not too_much_memory(small[:1], 0)


SETTING = Setting(rate=0.01, warmup=30, steps=1000, clip=1.0)
STABLE = Stability("stable")
NORMS = 0.3, 0.6


def rates(**broken):
    found = {times: STABLE for times in (1, 2, 5, 10)}
    return found | {int(times[1:]): one for times, one in broken.items()}


def test_stable_everywhere_is_ok():
    finding, advice = judge_rates(SETTING, rates(), NORMS, "rnn")
    assert (finding.verdict, advice.settings) == ("ok", {})
    assert finding.numbers["unstable_rate"] is None


def test_unstable_near_the_best_rate_wants_warmup_or_clipping():
    early, mid = Stability("early", 5, 2.0), Stability("mid", 300, 1.0)
    finding, advice = judge_rates(SETTING, rates(x2=early, x5=mid, x10=mid), NORMS, "rnn")
    assert (finding.verdict, finding.playbook) == ("warn", "G2")
    assert finding.action == "phoneme-sweep probe warmup rnn"
    assert advice.settings == {"model.warmup_steps": 60}
    assert finding.numbers["unstable_rate"] == 0.02
    finding, advice = judge_rates(SETTING, rates(x2=mid, x5=mid, x10=early), NORMS, "rnn")
    assert advice.settings == {"trainer.gradient_clip_val": 0.6}
    assert "step 300" in finding.sentence
    finding, _ = judge_rates(SETTING, rates(x1=mid, x2=mid), NORMS, "rnn")
    assert finding.verdict == "warn"
    assert "its own learning rate, 0.01" in finding.sentence


def test_more_clipping_is_advised_only_while_most_gradients_pass():
    mid = rates(x2=Stability("mid", 300, 1.0))
    tight = replace(SETTING, clip=0.5)  # below the 90th percentile already
    lower = judge_rates(tight, mid, (0.2, 0.6), "rnn")[1]
    assert lower.settings == {"trainer.gradient_clip_val": 0.25}
    slower = judge_rates(tight, mid, (0.3, 0.6), "rnn")[1]
    assert slower.settings == {LEARNING_RATE: 0.005}
    none = judge_rates(replace(SETTING, clip=None), mid, NORMS, "rnn")[1]
    assert none.settings == {"trainer.gradient_clip_val": 0.6}


def test_unstable_far_above_the_best_rate_is_known_and_needs_nothing():
    finding, advice = judge_rates(SETTING, rates(x5=Stability("mid", 9, 1.0)), NORMS, "rnn")
    assert (finding.verdict, advice.settings) == ("info", {})
    assert finding.numbers["unstable_rate"] == 0.05
    assert "stable at 2 times" in finding.sentence


def test_nothing_learnt_at_all_is_no_verdict():
    stuck = Stability("stuck")
    finding, _ = judge_rates(SETTING, rates(x1=stuck, x2=stuck), NORMS, "rnn")
    assert finding.verdict == "unknown"
    finding, _ = judge_rates(SETTING, rates(x2=stuck), NORMS, "rnn")
    assert finding.verdict == "warn"


@pytest.mark.parametrize(
    ("steps", "rungs"),
    [(100, [10]), (600, [10, 60]), (10_000, [10, 100, 1000]), (30_000, [10, 100, 1000, 3000])],
)
def test_the_ladder_climbs_by_orders_of_magnitude_to_a_tenth(steps, rungs):
    assert ladder(steps) == rungs


@given(st.integers(100, 10**7))
def test_no_warmup_of_the_ladder_is_above_a_tenth(steps):
    rungs = ladder(steps)
    assert rungs[0] == 10
    assert all(2 <= longer / shorter <= 10 for shorter, longer in pairwise(rungs))
    assert rungs[-1] <= steps / 10 < 10 * rungs[-1]


def test_a_training_too_short_for_the_ladder_is_refused():
    with pytest.raises(InputError, match="--steps is 99"):
        ladder(99)


def rungs(**kinds):
    return {int(rung[1:]): Stability(kind) for rung, kind in kinds.items()}


def test_the_shortest_stable_warmup_is_prepended():
    finding, advice = judge_ladder(
        0.5, 10_000, 0, rungs(w10="early", w100="stable", w1000="stable")
    )
    assert finding.verdict == "info"
    assert advice.settings == {"model.warmup_steps": 100, "trainer.max_steps": 10_100}
    # One that it has is replaced, and luck further down does not count.
    found = rungs(w10="stable", w100="mid", w1000="stable")
    finding, advice = judge_ladder(0.5, 100_000, 200, found)
    assert advice.settings == {"model.warmup_steps": 1000, "trainer.max_steps": 100_800}


def test_a_long_warmup_asks_for_more_steps():
    found = rungs(w10="early", w100="early", w1000="stable")
    finding, advice = judge_ladder(0.5, 10_000, 0, found)
    assert finding.verdict == "warn"
    assert finding.numbers["share"] == pytest.approx(1 / 11)
    assert advice.settings == {"model.warmup_steps": 1000, "trainer.max_steps": 20_000}


def test_where_no_warmup_helps_none_is_advised():
    finding, advice = judge_ladder(0.5, 10_000, 0, rungs(w10="early", w1000="mid"))
    assert (finding.verdict, advice.settings) == ("warn", {})


def test_a_perfect_fit_is_one_over_an_epoch():
    steps = np.arange(1.0, 101)
    rising = np.minimum(1.0, steps / 50)
    found = first_fit(steps, rising, window=10, perfect=0.99)
    assert (found.step, found.best) == (57, pytest.approx(1.0))  # .96 + .98 + 8 of 1 in the mean
    lucky = np.where(steps == 30, 1.0, 0.5)  # one batch
    assert first_fit(steps, lucky, 10, 0.99) == Fit(None, pytest.approx(0.55))
    assert first_fit(steps[:5], np.ones(5), 10, 0.99).step is None  # not an epoch yet
    assert first_fit(steps[:0], steps[:0], 10, 0.99) == Fit(None, 0.0)


def fits(*steps):
    return {
        rate: Fit(step, 0.999 if step else 0.9)
        for rate, step in zip(grid(0.01), steps, strict=True)
    }


def test_the_fastest_rate_tells_the_steps():
    finding, advice = judge_fits(fits(None, 800, 300, 500, None), 1000, 0.99, "")
    assert finding.verdict == "info"
    assert advice.settings == {"trainer.max_steps": 300}
    assert finding.numbers["rate"] == 0.01
    finding, advice = judge_fits(fits(None, 800, 300, 500, None), 1000, 0.99, "40 utterances")
    assert advice.settings == {}  # of a part nothing follows for the whole
    assert "40 utterances" in finding.sentence


@pytest.mark.parametrize(
    ("steps", "further"),
    [((None, None, 800, 500, 300), "0.3"), ((100, 200, 800, 900, None), "0.000333")],
)
def test_the_edge_of_the_grid_is_named(steps, further):
    finding, _ = judge_fits(fits(*steps), 1000, 0.99, "")
    assert finding.verdict == "warn"
    assert "edge" in finding.sentence
    assert further in finding.action.split()


def test_no_perfect_fit_is_said():
    finding, advice = judge_fits(fits(*[None] * 5), 1000, 0.99, "")
    assert (finding.verdict, advice.settings) == ("unknown", {})
    assert "90.0 %" in finding.sentence
