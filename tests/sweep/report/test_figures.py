"""The numbers that figures show, held against a round whose numbers are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.inference.confusion_file import Confusion
from phoneme_lightning.phones import PHONES
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.statistics import best_of
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.records import Measured
from phoneme_lightning.sweep.report.figures.axis import axis_figure, axis_info, axis_keys
from phoneme_lightning.sweep.report.figures.best_step import best_step_info
from phoneme_lightning.sweep.report.figures.budget import budget_info
from phoneme_lightning.sweep.report.figures.confusion import confusion_figure, confusion_info
from phoneme_lightning.sweep.report.figures.curves import curves_info, losses_info
from phoneme_lightning.sweep.report.figures.gradients import gradients_figure, gradients_info
from phoneme_lightning.sweep.report.figures.importance import importance_figure, importance_info
from phoneme_lightning.sweep.report.figures.isolation import isolation_info
from phoneme_lightning.sweep.report.figures.parallel import FAILED, MISSING, parallel_info
from phoneme_lightning.sweep.report.figures.style import (
    INFEASIBLE,
    arm_colours,
    best_few,
    frame,
    thin,
)
from phoneme_lightning.sweep.round import Scientific
from phoneme_lightning.sweep.spaces import Categorical, Uniform

LR, DROPOUT, NORM = "model.optimizer.init_args.lr", "model.dropout", "model.norm"


def infeasible(evidence: Evidence) -> set[str]:
    return {trial.trial for trial in evidence.trials if trial.state == "infeasible"}


def test_an_axis_plot_has_every_trial_once_and_the_infeasible_as_red_crosses(evidence):
    info = axis_info(evidence, LR)
    assert (info.name, info.scale, info.bounds) == ("lr", "log", ((1e-4, 1e-1),))
    failed = infeasible(evidence)
    assert failed
    assert {one.trial for one in info.infeasible} == failed
    assert {one.cause for one in info.infeasible} == {"nan"}
    assert {p.trial for p in info.points} == {t.trial for t in evidence.trials} - failed
    by_name = {trial.trial: trial for trial in evidence.trials}
    assert all(p.y == by_name[p.trial].measured.best for p in info.points)
    assert all(p.x == by_name[p.trial].values[LR] for p in info.points)
    crosses = [t for t in axis_figure(info, arm_colours(evidence)).data if t.name == "infeasible"]
    assert [(trace.marker.symbol, trace.marker.color) for trace in crosses] == [
        ("x-thin", INFEASIBLE)
    ]
    assert len(crosses[0].x) == len(failed)


def test_an_axis_is_only_what_varied_and_a_conditional_one_has_only_its_arm(evidence):
    assert axis_keys(evidence) == [LR, NORM, DROPOUT]
    assert {point.arm for point in axis_info(evidence, DROPOUT).points} == {"cosine"}
    assert axis_info(evidence, NORM).scale == "category"
    assert {point.x for point in axis_info(evidence, NORM).points} == {"layer", "batch"}


def test_choices_stand_in_the_order_of_the_round_file(evidence):
    sizes = Categorical([8, 16, 128])
    trials = [
        replace(trial, values={**trial.values, NORM: sizes.choices[trial.point % 2 * 2]})
        for trial in evidence.trials
    ]
    round = replace(evidence.round, nuisance={**evidence.round.nuisance, NORM: sizes})
    info = axis_info(replace(evidence, round=round, trials=trials), NORM)
    assert info.choices == ("8", "16", "128")
    drawn = axis_figure(info, {})
    assert drawn.layout.xaxis.ticktext == info.choices
    assert {int(x + 0.5) for trace in drawn.data for x in trace.x} == {0, 2}


def test_the_parts_of_an_axis_have_the_best_of_their_trials(evidence):
    info = axis_info(evidence, LR)
    assert len(info.buckets) == len(info.points) // 5
    for part in info.buckets:
        low, high = part.span
        inside = [point.y for point in info.points if low <= point.x < high]
        assert part.best == (max(inside) if inside else None)
    assert sum(len(part.values) for part in info.buckets) == len(info.points)


def test_isolation_compares_arms_at_equal_numbers_of_trials(evidence):
    short = [t for t in evidence.trials if t.arm == "constant" or t.point < 6]
    info = isolation_info(replace(evidence, trials=short))
    constant, cosine = info.groups
    assert (info.name, info.scale) == ("schedule", "category")
    assert len(constant.values) > len(cosine.values)
    assert constant.compared == cosine.compared == len(cosine.values)
    assert cosine.best == max(cosine.values)
    assert cosine.top3 == pytest.approx(np.mean(sorted(cosine.values)[-3:]))
    assert cosine.interval[0] <= cosine.best == cosine.interval[1]


def test_isolation_of_a_range_stands_in_its_parts(evidence):
    round = replace(
        evidence.round,
        scientific={"model.width": Scientific(range=Uniform(0.0, 1.0), buckets=2)},
        conditional=[],
    )
    names = {"constant": "width 0..0.5", "cosine": "width 0.5..1"}
    trials = [replace(trial, arm=names[trial.arm]) for trial in evidence.trials]
    info = isolation_info(replace(evidence, round=round, trials=trials))
    assert (info.name, info.scale) == ("width", "linear")
    assert [group.span for group in info.groups] == [(0.0, 0.5), (0.5, 1.0)]


def test_less_may_be_better(evidence):
    """Turned upside down, a round tells the same."""
    objective = replace(evidence.round.objective, mode="min")

    def turned(one: Measured | None) -> Measured | None:
        return one and Measured(-one.best, one.best_step, -one.final, -one.last)

    down = replace(
        evidence,
        round=replace(evidence.round, objective=objective),
        trials=[replace(trial, measured=turned(trial.measured)) for trial in evidence.trials],
    )
    assert [t.trial for t in best_few(down)] == [t.trial for t in best_few(evidence)]
    for up, low in zip(isolation_info(evidence).groups, isolation_info(down).groups, strict=True):
        assert low.best == -up.best
        assert low.interval == (-up.interval[1], -up.interval[0])
    for up, low in zip(budget_info(evidence).lines, budget_info(down).lines, strict=True):
        assert [one if one is None else -one for one in low.middle] == list(up.middle)
    low, high = axis_info(evidence, LR).frame
    assert axis_info(down, LR).frame == (-high, -low)
    shades = {line.trial: line.shade for line in parallel_info(evidence).lines}
    assert {line.trial: line.shade for line in parallel_info(down).lines} == pytest.approx(shades)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(1, 12))
def test_the_interval_is_the_bootstraps(values, count):
    rng = np.random.default_rng(0)
    drawn = rng.choice(values, (4000, count)).max(axis=1)
    low, high = (best_of(np.array(values), count, chance) for chance in (0.025, 0.975))
    # The bootstrap's own noise may carry it over a step: so a little to either side.
    assert np.quantile(drawn, 0.01) <= low <= np.quantile(drawn, 0.04)
    assert np.quantile(drawn, 0.96) <= high <= np.quantile(drawn, 0.99)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_more_points_are_never_worse(values):
    ordered = np.sort(values)
    for quantile in (0.25, 0.5, 0.75):
        bests = [best_of(ordered, m, quantile) for m in range(1, 40)]
        assert bests == sorted(bests)
    assert best_of(ordered, 10_000, 0.5) == ordered[-1]
    assert best_of(ordered, 1, 0.5) == np.sort(values)[(len(values) - 1) // 2]


def test_an_infeasible_trial_is_a_lost_draw(evidence):
    line = budget_info(evidence).lines[0]
    mine = [trial for trial in evidence.trials if trial.arm == line.arm]
    assert line.m == tuple(range(1, len(mine) + 1))
    assert any(trial.state == "infeasible" for trial in mine)
    without = replace(evidence, trials=[t for t in evidence.trials if t.state == "completed"])
    assert line.middle[0] < budget_info(without).lines[0].middle[0]
    lost = [replace(t, state="infeasible", measured=None) for t in mine[1:]]
    alone = budget_info(replace(evidence, trials=[mine[0], *lost])).lines[0]
    assert alone.low[0] is None
    assert alone.high[-1] == mine[0].measured.best


def test_all_trials_have_curves_and_the_best_few_are_lifted(evidence):
    info = curves_info(evidence)
    assert {curve.trial for curve in info.curves} == set(evidence.curves)
    order = ranked(evidence.trials, evidence.round.objective)
    lifted = {curve.rank: curve.trial for curve in info.curves if curve.rank}
    assert [lifted[rank] for rank in (1, 2, 3)] == [trial.trial for trial in order[:3]]
    assert {name.split("-")[1] for name in lifted.values()} == {"constant", "cosine"}
    assert info.curves[-1].rank == 1
    columns = {(curve.column, curve.rank is None) for curve in losses_info(evidence).curves}
    assert columns == {("train/loss", True), ("train/loss", False), ("val/loss", False)}


def test_what_is_no_number_is_left_out_of_a_curve(evidence):
    name = next(iter(infeasible(evidence)))
    assert any(math.isnan(row["train/loss"]) for row in evidence.curves[name])
    curve = next(one for one in curves_info(evidence, "train/loss").curves if one.trial == name)
    assert all(map(math.isfinite, curve.values))


@given(st.integers(0, 700), st.integers(4, 200), st.integers(0, 99))
def test_thinning_keeps_the_ends_and_the_extremes(size, most, seed):
    values = np.random.default_rng(seed).normal(size=size).cumsum().tolist()
    steps, kept = thin(list(range(size)), values, most)
    assert len(kept) == len(steps) <= most
    assert list(steps) == sorted(set(steps))
    assert all(values[int(step)] == value for step, value in zip(steps, kept, strict=True))
    if values:
        assert (kept[0], kept[-1]) == (values[0], values[-1])
        assert (min(kept), max(kept)) == (min(values), max(values))


def test_best_steps_are_counted_where_they_end(evidence):
    info = best_step_info(evidence)
    completed = sum(trial.state == "completed" for trial in evidence.trials)
    assert sum(info.top) + sum(info.others) == completed
    assert info.top[-1] + info.others[-1] == completed  # all rise to the end
    assert (info.early, info.late) == (0, sum(info.top))

    def at(share: float) -> Evidence:
        step = round(share * evidence.round.training.steps)
        trials = [
            replace(t, measured=t.measured and replace(t.measured, best_step=step))
            for t in evidence.trials
        ]
        return replace(evidence, trials=trials)

    for share, place, early, late in ((0.1, 1, 1, 0), (0.11, 2, 0, 0), (0.75, 14, 0, 0)):
        info = best_step_info(at(share))
        assert info.top[place] == sum(info.top)
        assert (info.early > 0, info.late > 0) == (early, late)
    assert best_step_info(at(0.0)).early
    assert best_step_info(at(0.76)).late


def test_gradient_norms_are_summed_up_whole(evidence):
    info = gradients_info(evidence)
    best = info.curves[0]
    norms = [row["train/grad_norm"] for row in evidence.curves[best.trial]]
    assert (best.p50, best.p90) == pytest.approx(np.quantile(norms, (0.5, 0.9)).tolist())
    assert best.largest == max(norms)
    assert sum(info.counts) == len(norms)


def test_the_clip_in_force_is_a_line_where_it_acts(evidence):
    def drawn(clip):
        settings = {t.trial: {"trainer.gradient_clip_val": clip} for t in evidence.trials}
        info = gradients_info(replace(evidence, settings=settings))
        assert info.clip == clip
        return [line.y0 for line in gradients_figure(info).layout.shapes]

    p90 = gradients_info(evidence).curves[0].p90
    assert gradients_info(evidence).clip is None
    assert drawn(0.6) == [p90, 0.6]
    assert drawn(5.0) == [p90]  # beyond all norms it would only squash them


def test_importance_has_a_bar_for_each_thing_that_varied(evidence):
    info = importance_info(evidence)
    assert {bar.name for bar in info.bars} == {"arm", "lr", "norm", "dropout"}
    assert info.points == sum(trial.state == "completed" for trial in evidence.trials)
    assert sum(bar.share for bar in info.bars) == pytest.approx(1)
    assert sum(bar.first for bar in info.bars) == pytest.approx(1)
    assert [bar.share for bar in info.bars] == sorted((b.share for b in info.bars), reverse=True)
    assert all(0 <= low <= high <= 1 for low, high in (bar.interval for bar in info.bars))
    (bars,) = importance_figure(info).data
    assert list(bars.y) == [bar.name for bar in info.bars]
    few = [trial for trial in evidence.trials if trial.point < 6]
    assert importance_info(replace(evidence, trials=few)).bars == ()


def test_without_gradient_norms_there_is_nothing_to_show(evidence):
    curves = {
        name: [{k: v for k, v in row.items() if k != "train/grad_norm"} for row in rows]
        for name, rows in evidence.curves.items()
    }
    assert gradients_info(replace(evidence, curves=curves)).curves == ()


def test_a_line_passes_where_its_trial_lies(evidence):
    info = parallel_info(evidence)
    assert [axis.name for axis in info.axes] == [
        "arm",
        "lr",
        "norm",
        "dropout",
        "val/frame_accuracy",
    ]
    lines = {line.trial: line for line in info.lines}
    space = evidence.round.nuisance[LR]
    for trial in evidence.trials:
        _, rate, _, dropout, end = lines[trial.trial].places
        assert rate == pytest.approx(space.coordinate(trial.values[LR]))
        assert (dropout == MISSING) == (trial.arm == "constant")
        assert (end == FAILED) == (trial.state == "infeasible")
    best = ranked(evidence.trials, evidence.round.objective)[0].trial
    assert info.lines[-1].trial == best
    assert lines[best].shade == 1


def test_of_a_thousand_lines_the_best_are_drawn(large):
    info = parallel_info(large)
    assert len(info.lines) <= 300
    order = [trial.trial for trial in ranked(large.trials, large.round.objective)]
    assert {line.trial for line in info.lines} >= set(order[:100])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_frame_holds_the_best_and_at_least_half(values):
    for mode, best in (("max", max(values)), ("min", min(values))):
        low, high = frame(values, mode)
        assert best in (low, high)
        assert 2 * sum(low <= value <= high for value in values) >= len(values)


def test_phones_are_counted():
    counts = np.zeros((41, 41), dtype=int)
    sil, s, z = (PHONES.index(phone) for phone in ("SIL", "S", "Z"))
    counts[sil, sil], counts[s, s], counts[s, z], counts[z, z], counts[z, s] = 60, 20, 10, 9, 1
    info = confusion_info("best", Confusion(counts))
    assert (info.frames, info.accuracy, info.silence) == (100, 0.89, 0.6)
    assert info.top[0] == ("S", "Z", pytest.approx(10 / 11))
    rows = {row.phone: row for row in info.rows}
    assert [row.phone for row in info.rows[:3]] == ["SIL", "S", "Z"]
    assert (rows["S"].frames, rows["S"].right, rows["S"].taken_for) == (30, 20, "Z")
    assert rows["S"].recall == pytest.approx(2 / 3)
    assert rows["Z"].precision == pytest.approx(9 / 19)
    assert (rows["AA"].recall, rows["AA"].precision, rows["AA"].taken_for) == (None, None, None)
    row = info.percent[info.phones.index("S")]
    assert row[info.phones.index("Z")] == pytest.approx(100 / 3)
    assert set(info.percent[info.phones.index("AA")]) == {None}


def test_phones_of_another_corpus_stand_by_their_own_names():
    names = ("zz", "s", "cl", "iy", "pau", "z")  # stops' closures stand with silence
    counts = np.diag([1, 2, 3, 4, 5, 6])
    counts[1, 5] = 8
    info = confusion_info("best", Confusion(counts, names))
    assert info.phones == ("iy", "s", "z", "cl", "pau", "zz")
    assert info.groups == (1, 2, 2, 1)
    assert info.top == (("s", "z", 1.0),)
    assert info.silence == pytest.approx(5 / 29)
    assert info.percent[1] == (0, 20, 80, 0, 0, 0)
    assert {row.phone: row.right for row in info.rows} == dict(zip(names, range(1, 7), strict=True))
    drawn = confusion_figure(info)
    assert tuple(drawn.data[0].x) == info.phones
    assert len(drawn.layout.shapes) == 2 * 3
    assert confusion_info("best", Confusion(np.eye(2, dtype=int), ("a", "b"))).silence is None
