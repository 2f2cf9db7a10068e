"""Rules that only inform: each tells what was planted, and none ever warns."""

import warnings
from dataclasses import replace

import numpy as np
import optuna
import pytest

from phoneme_lightning.sweep.findings.calibrate import CLEAN
from phoneme_lightning.sweep.findings.diagnose import INFORMATION, diagnose
from phoneme_lightning.sweep.findings.evidence import Evidence, read_evidence
from phoneme_lightning.sweep.findings.importance import importances
from phoneme_lightning.sweep.findings.simulate import World, simulate
from phoneme_lightning.sweep.keys import LEARNING_RATE
from phoneme_lightning.sweep.round import Conditional
from phoneme_lightning.sweep.spaces import Uniform

CLIP, WARMUP, STEPS = "trainer.gradient_clip_val", "model.warmup_steps", "trainer.max_steps"


def ask(rule: str, evidence: Evidence):
    """Let a rule speak, which may inform and never warn."""
    found = INFORMATION[rule](evidence)
    assert {one.verdict for one in found} <= {"info", "ok", "unknown"}
    return found


def with_columns(evidence: Evidence, **columns):
    """Give every row of metrics.csv further columns: name -> trial, number of its row -> value."""
    curves = {
        trial: [
            row | {f"train/{name}": value(trial, n) for name, value in columns.items()}
            for n, row in enumerate(evidence.curves[trial])
        ]
        for trial in evidence.curves
    }
    return replace(evidence, curves=curves)


def trained_with(evidence: Evidence, **settings):
    """Say what trials were trained with: arm -> settings; `every` is all arms."""
    told = {
        record.trial: settings.get(record.arm, settings.get("every", {}))
        for record in evidence.trials
    }
    return replace(evidence, settings=told)


# Gradients: norms 0.01, 0.02, ..., 0.40 in each trial.
NORMS = with_columns(simulate(World(1, points=6), 0), grad_norm=lambda trial, row: (row + 1) / 100)


def test_gradients_are_summed_up_and_a_clip_is_suggested():
    first, second = ask("gradients", NORMS)
    assert (first.arm, second.arm) == ("arm0", "arm1")
    told = first.numbers
    assert (told["trials"], told["steps"], told["largest"]) == (3, 120, 0.4)
    norms = np.tile(np.arange(1, 41) / 100, 3)
    assert [told["p50"], told["p90"], told["p99"]] == pytest.approx(
        np.quantile(norms, [0.5, 0.9, 0.99]).tolist()
    )
    assert first.action == f"{CLIP}: 0.36"
    assert "below 0.36" in first.sentence
    assert "none is known to be clipped" in first.sentence


@pytest.mark.parametrize(("clip", "clipped"), [(0.36, 0.1), (0.1, 0.75), (1.0, 0.0)])
def test_the_clipped_share_is_counted_and_more_than_half_blames_the_learning_rate(clip, clipped):
    (first, _) = ask("gradients", trained_with(NORMS, every={CLIP: clip}))
    assert first.numbers["clipped"] == pytest.approx(clipped)
    assert f"{clipped:.0%}" in first.sentence
    assert ("learning rate" in first.sentence) == (clipped > 0.5)
    assert first.action.startswith("lower the learning rate") == (clipped > 0.5)


def test_a_clip_of_single_values_says_nothing_of_norms():
    by_value = {CLIP: 0.1, "trainer.gradient_clip_algorithm": "value"}
    (first, _) = ask("gradients", trained_with(NORMS, every=by_value))
    assert (first.numbers["clip"], first.numbers["clipped"]) == ([], None)


def test_without_logged_norms_gradients_are_unknown():
    (only,) = ask("gradients", simulate(World(1, points=6), 0))
    assert only.verdict == "unknown"


# Warmup.


@pytest.mark.parametrize(
    ("steps", "verdict", "words"),
    [
        (0, "ok", "no warmup"),
        (100, "ok", "(5%)"),
        (140, "info", "(7%) on warmup: so long"),
        (400, "info", "(20%) on warmup: far too many"),
    ],
)
def test_a_long_warmup_asks_for_a_longer_training(steps, verdict, words):
    evidence = trained_with(simulate(World(1), 0), every={WARMUP: steps, STEPS: 2000})
    (one,) = ask("warmup", evidence)
    assert (one.verdict, one.arm) == (verdict, None)
    assert words in one.sentence
    if verdict == "info":
        assert one.action.startswith(f"phoneme-sweep next-round simulated --steps {20 * steps} ")


def test_warmup_that_differs_is_told_arm_by_arm():
    evidence = trained_with(simulate(World(1), 0), arm0={WARMUP: 100}, arm1={WARMUP: 300})
    found = {one.arm: (one.verdict, one.numbers["share"]) for one in ask("warmup", evidence)}
    assert found == {"arm0": ("ok", 0.05), "arm1": ("info", 0.15)}


def test_warmup_is_unknown_where_nobody_wrote_it_down():
    (one,) = ask("warmup", simulate(World(1), 0))
    assert one.verdict == "unknown"


def test_settings_are_read_from_a_round_s_folder(plant, tmp_path):
    folder = plant(tmp_path / "one", {"p000-all-s0": {"values": {}, "state": "completed"}})
    file = folder.attempt("p000-all-s0", 1) / "overrides.yaml"
    file.write_text("model: {warmup_steps: 7}\ntrainer.max_steps: 30\n")
    settings = read_evidence(folder).settings
    assert list(settings) == ["p000-all-s0"]
    assert settings["p000-all-s0"][WARMUP] == 7
    assert settings["p000-all-s0"][STEPS] == 30
    assert settings["p000-all-s0"]["model.schedule"] == "constant"  # of the base config


# Importance.


def test_what_matters_is_told_quietly(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(3):
            (one,) = ask("importance", simulate(World(4, effect=6, others=0), seed))
            assert (one.verdict, one.key, one.action) == ("info", LEARNING_RATE, None)
            told = one.numbers["lr"]
            assert told["first"] >= 0.9
            assert told["interval"][0] <= told["share"]
            assert "lr mattered most" in one.sentence
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


def test_an_arm_can_matter_most():
    (one,) = ask("importance", simulate(World(2, effect=0, gap=6), 0))
    assert one.key is None
    assert one.numbers["the choice of arm"]["first"] >= 0.9


def test_where_nothing_matters_none_is_said_to():
    found = [ask("importance", simulate(World(4, arms=1, effect=0), s)) for s in range(6)]
    claims = [one for (one,) in found if "cannot be told" not in one.sentence]
    assert len(claims) <= 1
    assert all(one.action for (one,) in found if one not in claims)


def test_a_hyperparameter_of_one_arm_counts_there():
    evidence = simulate(World(2, effect=0), 0)
    knob, draw = "model.knob_1", np.random.default_rng(0)
    own = Conditional({"model.choice": "arm1"}, {knob: Uniform(0.0, 1.0)})
    trials = []
    for record in evidence.trials:
        value, noise = draw.random(), 0.001 * draw.standard_normal()
        values = {LEARNING_RATE: record.values[LEARNING_RATE]}
        best = 0.7 + noise
        if record.arm == "arm1":
            values[knob], best = value, 0.7 + 0.1 * (value - 0.5) + noise
        trials.append(replace(record, values=values, measured=replace(record.measured, best=best)))
    nuisance = {LEARNING_RATE: evidence.round.nuisance[LEARNING_RATE]}
    round = replace(evidence.round, nuisance=nuisance, conditional=[own])
    found = importances(replace(evidence, round=round, trials=trials))
    assert next(iter(found.shares)) == knob
    assert found.first[knob] >= 0.9


def test_nothing_mattered_where_all_points_are_equally_good():
    whole = simulate(World(2, arms=1), 0)
    same = [replace(one, measured=whole.trials[0].measured) for one in whole.trials]
    assert ask("importance", whole)
    assert ask("importance", replace(whole, trials=same)) == []


def test_importance_wants_twenty_points_and_two_things_that_vary():
    whole = simulate(World(2, arms=1, effect=5), 0)
    few = replace(whole, trials=[record for record in whole.trials if record.point < 19])
    (one,) = ask("importance", few)
    wanted = "phoneme-sweep extend simulated --points 40"
    assert (one.verdict, one.action) == ("unknown", wanted)
    assert ask("importance", simulate(World(1, arms=1), 0)) == []
    assert ask("importance", simulate(World(1, arms=1, points=5), 0)) == []
    assert [one.verdict for one in ask("importance", simulate(World(1, points=5), 0))] == [
        "unknown"
    ]


# Throughput.

BUSY = with_columns(
    simulate(World(1, points=5), 0),
    frames_per_second=lambda trial, row: 1.0 if row == 0 else 1000.0 + int(trial[1:4]),
    wait_share=lambda trial, row: 0.9 if row == 0 else 0.05,
)


def test_throughput_is_the_median_of_each_trial():
    (one,) = ask("throughput", BUSY)
    assert (one.verdict, one.numbers["frames_per_second"]) == ("ok", 1002.0)
    assert (one.numbers["wait_share"], one.numbers["waiting"]) == (0.05, 0)
    assert "slowest 1,000, fastest 1,004" in one.sentence


def test_trials_that_wait_are_named():
    waiting = with_columns(
        BUSY, wait_share=lambda trial, row: 0.2 + int(trial[1:4]) / 100 if trial[3] > "2" else 0.2
    )
    (one,) = ask("throughput", waiting)
    assert one.verdict == "info"
    assert one.numbers["waiting"] == 4
    assert one.sentence.startswith("4 of 10 trials waited")
    assert "p004-" in one.sentence
    assert "24%" in one.sentence
    assert one.action


def test_a_slow_machine_is_named():
    trials = [
        replace(record, environment={"host": f"h{record.point % 2}"}) for record in BUSY.trials
    ]
    even = replace(BUSY, trials=trials)
    assert [one.verdict for one in ask("throughput", even)] == ["ok"]
    slow = with_columns(even, frames_per_second=lambda trial, _: 100.0 * (1 + int(trial[3]) % 2))
    (one,) = ask("throughput", slow)
    assert one.numbers["hosts"] == {"h0": 100.0, "h1": 200.0}
    assert one.sentence.startswith("h1 trains 2.0 times as fast as h0")


def test_throughput_is_unknown_where_it_was_not_logged():
    (one,) = ask("throughput", simulate(World(1), 0))
    assert one.verdict == "unknown"


# Periodic validation.


@pytest.mark.parametrize("validations", [20, 40])
def test_a_beat_is_found(validations):
    for seed in range(3):
        world = World(1, validations=validations, curve="periodic", strength=1)
        (one,) = ask("periodic", simulate(world, seed))
        assert (one.verdict, one.numbers["beat"]) == ("info", 4)
        assert "every 4 validations:" in one.sentence


@pytest.mark.parametrize(("epoch", "verdict"), [(4.1, "info"), (6.0, "ok")])
def test_where_the_epoch_is_known_it_is_the_only_beat(epoch, verdict):
    evidence = simulate(World(1, validations=40, curve="periodic"), 0)
    frames = 100_000
    environment = {"splits": {"train": {"frames": frames}}}
    trials = [replace(record, environment=environment) for record in evidence.trials]
    seen = with_columns(
        replace(evidence, trials=trials),
        frames_seen=lambda trial, row: frames * (row + 1) / epoch,
    )
    (one,) = ask("periodic", seen)
    assert one.numbers["validations_an_epoch"] == pytest.approx(epoch)
    assert (one.verdict, "which is an epoch" in one.sentence) == (verdict, verdict == "info")


def test_hardly_a_clean_round_gets_a_hint_of_a_beat():
    hints = 0
    for world in CLEAN.values():
        for validations in (20, 40):
            evidence = simulate(replace(world, validations=validations), 12)
            hints += INFORMATION["periodic"](evidence)[0].verdict == "info"
    assert hints <= 0.05 * 2 * len(CLEAN)


def test_a_beat_too_weak_to_matter_is_no_hint():
    world = World(1, validations=40, curve="periodic", strength=0.35)
    (one,) = ask("periodic", simulate(world, 2))
    assert (one.verdict, one.numbers["chance"] <= 0.02) == ("ok", True)


def test_noise_that_all_trials_share_is_no_beat():
    hints = 0
    for seed in range(40):
        evidence = simulate(World(1, arms=1, points=5), seed)
        noise = np.random.default_rng(seed).normal(0, 0.01, 40)
        shared = {
            trial: [
                row | {key: row[key] + noise[n] for key in row if key.startswith("val/")}
                for n, row in enumerate(evidence.curves[trial])
            ]
            for trial in evidence.curves
        }
        found = INFORMATION["periodic"](replace(evidence, curves=shared))
        hints += found[0].verdict == "info"
    assert hints <= 0.05 * 40


def test_few_validations_show_no_beat():
    few = simulate(World(1, validations=10, curve="periodic"), 0)
    (one,) = ask("periodic", few)
    assert one.verdict == "unknown"
    assert one.action.startswith(f"set training.evaluate_every to {2000 // 18} ")


# All of them.


@pytest.mark.parametrize("rule", ["importance", "gradients", "warmup", "throughput", "periodic"])
def test_an_empty_round_is_no_error(rule):
    whole = simulate(World(2), 0)
    waiting = [replace(record, state="waiting", measured=None) for record in whole.trials]
    assert [one.verdict for one in ask(rule, Evidence(whole.round, waiting, {}))] == ["unknown"]
    assert [one.verdict for one in ask(rule, Evidence(whole.round, [], {}))] == ["unknown"]


def test_a_diagnosis_has_all_that_informs():
    evidence = simulate(World(2), 0)
    told = diagnose(evidence)
    for rule in INFORMATION.values():
        for one in rule(evidence):
            assert one in told
