"""Planted truths get their verdict, and rounds in which nothing is wrong get none."""

from dataclasses import replace

import pytest

from phoneme_lightning.sweep.findings.calibrate import CLEAN, PLANTED, is_found
from phoneme_lightning.sweep.findings.diagnose import RULES, calibrated, diagnose
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.simulate import World, simulate
from phoneme_lightning.sweep.round import Objective

SERIOUS = ("warn", "block")
MAY_BLOCK = {"infeasible", "boundary", "training_loss", "fairness"}


def found_by(rule, world, rounds=10):
    return [is_found(rule, calibrated(simulate(world, seed))) for seed in range(rounds)]


@pytest.mark.parametrize("name", [name for name, planted in PLANTED.items() if planted.bar])
def test_a_planted_fault_is_found(name):
    planted = PLANTED[name]
    world = replace(planted.world, **{planted.size: max(planted.sizes)})
    assert all(found_by(planted.rule, world))


def test_few_good_points_are_found():
    assert sum(found_by("density", World(4, effect=20))) >= 5
    assert not any(found_by("density", World(1, effect=1)))


def test_every_rule_that_may_warn_has_a_planted_fault():
    assert {planted.rule for planted in PLANTED.values()} == {*RULES, "fairness"}


@pytest.mark.parametrize("name", CLEAN)
def test_a_round_in_which_nothing_is_wrong_is_left_in_peace(name):
    worst = [calibrated(simulate(CLEAN[name], seed))[0].verdict for seed in range(40)]
    assert worst.count("block") <= 3
    assert worst.count("block") + worst.count("warn") <= 8  # 0.2 % of sets of 40, at 10 % each


def test_only_some_rules_may_block():
    for planted in PLANTED.values():
        world = replace(planted.world, **{planted.size: max(planted.sizes)})
        blocking = {one.rule for one in calibrated(simulate(world, 0)) if one.verdict == "block"}
        assert blocking <= MAY_BLOCK


def test_what_blocks_comes_first_and_every_serious_finding_says_what_to_do():
    found = diagnose(simulate(World(2, optimum=1.0, effect=5, curve="overfit"), 0))
    order = ["block", "warn", "unknown", "info", "ok"]
    places = [order.index(one.verdict) for one in found]
    assert places == sorted(places)
    assert {"boundary", "overfitting"} <= {one.rule for one in found if one.verdict in SERIOUS}
    serious = [one for one in found if one.verdict in SERIOUS]
    assert all(one.action and one.figure and one.playbook for one in serious)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("curve", ["overfit", "improving", "noisy", "settled"])
def test_less_is_better_gives_the_same_verdicts(curve, seed):
    more = simulate(World(2, optimum=1.0, curve=curve), seed)
    turned = {
        trial: [
            {key: -value if key.startswith("val/") else value for key, value in row.items()}
            for row in rows
        ]
        for trial, rows in more.curves.items()
    }
    trials = [
        replace(
            record,
            measured=replace(
                record.measured,
                best=-record.measured.best,
                final=-record.measured.final,
                last=-record.measured.last,
            ),
        )
        for record in more.trials
    ]
    objective = replace(more.round.objective, mode="min")
    less = Evidence(replace(more.round, objective=objective), trials, turned)

    def verdicts(evidence):
        return [(one.rule, one.verdict, one.arm, one.key) for one in diagnose(evidence)]

    assert verdicts(less) == verdicts(more)


def test_a_fault_of_one_arm_makes_the_comparison_unfair_and_one_of_all_arms_does_not():
    alone = diagnose(simulate(World(1, optimum=1.0, effect=5, unfair=True), 1))
    both = diagnose(simulate(World(1, optimum=1.0, effect=5), 1))
    assert [one.arm for one in alone if one.rule == "fairness"] == ["arm1"]
    assert [one.verdict for one in both if one.rule == "fairness"] == ["ok"]


def test_an_arm_with_half_the_points_blocks():
    whole = simulate(World(2, effect=1), 0)
    lost = [record for record in whole.trials if record.arm == "arm0" or record.point < 8]
    found = diagnose(replace(whole, trials=lost))
    assert [(one.verdict, one.arm) for one in found if one.rule == "fairness"] == [
        ("block", "arm1")
    ]


def test_a_regulariser_under_study_may_overfit():
    evidence = simulate(World(2, curve="overfit", strength=5), 0)
    (asked,) = evidence.round.scientific.values()
    studied = replace(evidence.round, scientific={"model.dropout": asked})
    found = diagnose(Evidence(studied, evidence.trials, evidence.curves))
    assert {one.verdict for one in found if one.rule == "overfitting"} == {"info"}


@pytest.mark.parametrize("points", [0, 1, 3])
def test_little_data_gives_no_verdict(points):
    whole = simulate(World(4, optimum=1.0, effect=5), 0)
    few = [record for record in whole.trials if record.point < points]
    found = diagnose(Evidence(whole.round, few, whole.curves))
    assert not any(one.verdict in SERIOUS for one in found)
    assert any(one.verdict == "unknown" for one in found)


def test_a_round_that_has_not_begun_is_unknown():
    whole = simulate(World(2), 0)
    waiting = [replace(record, state="waiting", measured=None) for record in whole.trials]
    found = calibrated(Evidence(whole.round, waiting, {}))
    assert {one.verdict for one in found} <= {"unknown", "ok"}
    assert {one.rule for one in found if one.verdict == "unknown"} >= {"boundary", "infeasible"}


def test_a_probe_has_a_finding_of_its_own():
    evidence = simulate(World(2, optimum=1.2, others=1), 0)
    probe = replace(evidence, round=replace(evidence.round, phase="probe"))
    assert diagnose(evidence)
    assert not diagnose(probe)
    said = Finding("probe_lr", "warn", "Training breaks at twice its rate.")
    assert diagnose(replace(probe, probed=said)) == [said]


def test_another_measure_is_shown_by_what_shows_it():
    evidence = simulate(World(turned=5), 0)
    (warned,) = [one for one in calibrated(evidence) if one.rule == "robustness"]
    assert warned.action.endswith(f"--by {next(iter(warned.numbers['others']))}")
    by_final = replace(evidence.round, objective=Objective(selection="final"))
    (warned,) = [
        one for one in calibrated(replace(evidence, round=by_final)) if one.rule == "robustness"
    ]
    assert warned.action.endswith("--by best")


def test_no_arm_of_a_confirm_round_was_tuned():
    evidence = simulate(World(points=1), 0)
    confirm = replace(evidence, round=replace(evidence.round, phase="confirm"))
    tuned = {"density", "fairness", "isolation"}
    assert tuned <= {one.rule for one in diagnose(evidence)}
    assert not tuned & {one.rule for one in diagnose(confirm)}
