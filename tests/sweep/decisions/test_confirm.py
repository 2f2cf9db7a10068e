"""What a confirm round trains, how it grows, and what it comes to."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.check import resolve
from phoneme_lightning.sweep.decisions.confirm import confirm
from phoneme_lightning.sweep.decisions.confirm_round import add_seeds, begin, make_round
from phoneme_lightning.sweep.decisions.confirmation import judge, lines
from phoneme_lightning.sweep.decisions.confirmation_file import read_confirmation
from phoneme_lightning.sweep.decisions.side import find_side
from phoneme_lightning.sweep.design import design, read_design
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.overrides import base_settings, overrides
from phoneme_lightning.sweep.report.answer import answer
from phoneme_lightning.sweep.round import Scientific
from phoneme_lightning.sweep.round_file import dump_round, read_round
from phoneme_lightning.sweep.running import command_to_go_on

ROOT = Path("runs/rounds")
LR = "model.optimizer.init_args.lr"


def make(baseline=None, candidate="lr", seeds=5, steps=None, name="lr-confirm"):
    return make_round(find_side(candidate, ROOT), baseline, name, seeds, steps, ROOT)


def test_the_arms_are_what_sets_each_side_apart(searched):
    round = make()
    assert round.scientific["side"].values == {
        "candidate": {LR: 1e-3, "model.schedule": "cosine"},
        "baseline": {},
    }
    assert round.phase == "confirm"
    assert round.goal.parent == "lr"
    assert round.seeds == [1, 2, 3, 4, 5]  # the round itself used 0
    assert {row.arm for row in design(round)} == {"candidate", "baseline"}
    assert len(design(round)) == 10
    few = {"F2 enough validations"}
    assert {one.rule for one in lint(round)} == few
    assert "C2 optimizer setting" in {one.rule for one in lint(replace(round, phase="explore"))}


def test_another_trial_or_a_config_can_be_the_baseline(searched):
    round = make("p003-constant-s0", candidate="lr:p000-cosine-s0")
    assert round.scientific["side"].values["baseline"] == {LR: 0.1}
    config = yaml.safe_load(searched.base_configs()[0].read_text())
    config["model"]["optimizer"] = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.5}}
    config["trainer"]["max_steps"] = 3000
    Path("other.yaml").write_text(yaml.safe_dump(config))
    round = make("other.yaml")
    baseline = round.scientific["side"].values["baseline"]
    assert baseline["model.optimizer.class_path"] == "torch.optim.SGD"
    assert "trainer.max_steps" not in baseline  # as long as the candidate
    base = base_settings(searched.base_configs())
    row = next(row for row in design(round) if row.arm == "baseline")
    optimizer = resolve(searched.base_configs(), overrides(round, row, base))["model"]["optimizer"]
    assert optimizer["class_path"] == "torch.optim.SGD"
    assert optimizer["init_args"]["lr"] == 0.5
    assert "betas" not in optimizer["init_args"]  # nothing of the candidate's class


def test_an_arm_can_be_the_candidate_or_the_baseline(searched):
    round = make("constant", candidate="lr:cosine")
    assert round.scientific["side"].values["baseline"] == {LR: 1e-3}  # its best, as configured
    assert "p001-cosine-s0 better than constant" in round.goal.question


def test_longer_training_carries_the_schedules_over(searched):
    config = yaml.safe_load(searched.base_configs()[0].read_text())
    config["model"] |= {"schedule": "linear", "warmup_steps": 5}
    config["trainer"]["max_steps"] = 30
    Path("linear.yaml").write_text(yaml.safe_dump(config))
    round = make("linear.yaml", steps=90)
    assert (round.training.steps, round.training.evaluate_every) == (90, 30)
    arms = round.scientific["side"].values
    assert arms["baseline"]["model.decay_steps"] == 25  # as long as it was
    assert "model.decay_steps" not in arms["candidate"]


def test_a_longer_trial_may_take_longer(searched):
    known = read_round(searched.round)
    known.budget.trial_time = Duration("10m")
    searched.round.write_text(dump_round(known), "utf-8")
    assert make(steps=3 * known.training.steps).budget.trial_time == Duration("30m")
    assert make(steps=known.training.steps // 3).budget.trial_time == Duration("10m")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seeds": 1}, "--seeds is 1"),
        ({"baseline": "p001-cosine-s0"}, "set alike"),
        ({"baseline": "nobody"}, "no round 'nobody'"),
        ({"baseline": "configs/no.yaml"}, r"--baseline is configs/no\.yaml: there is no such file"),
    ],
)
def test_what_confirms_nothing_is_refused(searched, changes, told):
    with pytest.raises(InputError, match=told):
        make(**changes)


def test_a_round_that_has_not_ended_confirms_only_what_is_named(searched):
    shutil.rmtree(searched.attempt("p003-cosine-s0", 1))
    asked = {"seeds": 1, "min_gain": 0.0, "steps": None, "name": None, "parallel": None}
    told = r"1 trials of lr have still to run: phoneme-sweep run runs/rounds/lr; --candidate p001-c"
    with pytest.raises(InputError, match=told):
        confirm("lr", ROOT, candidate=None, baseline=None, **asked)
    with pytest.raises(InputError, match="--seeds is 1"):  # as far as that it comes
        confirm("lr", ROOT, candidate="cosine", baseline=None, **asked)


def test_seeds_are_added_and_the_round_is_gone_on_with(searched, make_store):
    make_store(Path("data/spoken"), utterances=16)
    wanted = make(seeds=2)
    folder, known = begin(wanted, ROOT)
    before = read_design(folder.design)
    longer = add_seeds(folder, known, 2)
    assert longer.seeds == [1, 2, 3, 4]
    rows = read_design(folder.design)
    assert rows[:4] == before
    assert sorted((row.arm, row.seed) for row in rows[4:]) == [
        *(("baseline", 3), ("baseline", 4)),
        *(("candidate", 3), ("candidate", 4)),
    ]
    assert begin(wanted, ROOT)[1] == longer == load_round(folder)
    for other in (make(seeds=3), make("p003-constant-s0", seeds=2)):
        with pytest.raises(InputError, match="another --name"):
            begin(other, ROOT)


def test_a_confirmation_that_was_stopped_is_gone_on_with_by_its_own_command(searched, confirmed):
    folder, known = confirmed([0.6], [0.5])
    assert command_to_go_on(folder, known) == "the same phoneme-sweep confirm"
    told = command_to_go_on(searched, load_round(searched))
    assert told == f"phoneme-sweep run {searched.path}"


CLEAR = ([0.60, 0.61, 0.62, 0.60, 0.61], [0.50, 0.52, 0.51, 0.50, 0.52])
SAME = ([0.60, 0.55, 0.62, 0.50, 0.61], [0.58, 0.57, 0.56, 0.60, 0.55])


@pytest.mark.parametrize(
    ("scores", "look", "verdict", "says"),
    [
        (CLEAR, 1, "ADOPT", "ADOPT: val/frame_accuracy is better by 0.0980"),
        (CLEAR[::-1], 1, "HOLD", "is worse by 0.0980 (gain -0.1"),
        (CLEAR[::-1], 1, "HOLD", "surely no gain"),
        (SAME, 1, "MORE SEEDS", "may be luck"),
        (SAME, 3, "HOLD", "not surely a gain worth a change"),
    ],
)
def test_a_confirmation_says_its_verdict_everywhere(confirmed, scores, look, verdict, says):
    folder, round = confirmed(*scores)
    made = judge(
        folder, round, look, candidate="p001", baseline="that", min_gain=0.0, command="again"
    )
    assert made.verdict == verdict
    assert says in made.why
    assert read_confirmation(folder)["verdict"] == verdict
    assert made.values[0] - made.values[1] == pytest.approx(made.gain)
    assert made.extra == []
    text = "\n".join(lines(made))
    assert "99 weights" in text
    assert "83 ms a step" in text
    assert ("promote" in text) == (verdict == "ADOPT")
    told = answer(read_evidence(folder), [])
    assert told.sentence == made.why
    assert told.verdict == ("ahead" if verdict == "ADOPT" else "close")


def test_a_report_before_the_verdict_says_that_there_is_none(confirmed):
    folder, _ = confirmed(*CLEAR)
    assert "no verdict yet" in answer(read_evidence(folder), []).sentence


def test_more_loss_is_no_gain(confirmed):
    folder, round = confirmed(*CLEAR)
    round.objective.mode = "min"
    made = judge(folder, round, 1, candidate="p", baseline="b", min_gain=0.0, command="again")
    assert made.verdict == "HOLD"
    assert made.gain == pytest.approx(-0.098)


def test_a_candidate_that_fails_with_a_fresh_seed_is_held(confirmed):
    folder, round = confirmed(*CLEAR, states={"candidate-3": "infeasible"}.items())
    made = judge(folder, round, 1, candidate="p", baseline="b", min_gain=0.0, command="again")
    assert made.verdict == "HOLD"
    assert "failed with seed 3" in made.why
    assert set(made.differences) == {1, 2, 4, 5}


def test_extra_hyperparameters_and_utterances_stand_beside_the_gain(confirmed, count):
    folder, round = confirmed([0.6, 0.61], [0.5, 0.51])
    round.scientific["side"].values["candidate"]["model.label_smoothing"] = 0.1
    for seed in (1, 2):
        count(folder, f"p000-candidate-s{seed}", [60, 62, 64])
        count(folder, f"p000-baseline-s{seed}", [50, 52, 54])
    made = judge(folder, round, 1, candidate="p", baseline="b", min_gain=0.0, command="again")
    assert made.extra == ["model.label_smoothing"]
    assert (made.utterances.low, made.utterances.high) == pytest.approx((0.1, 0.1))
    told = json.loads((folder.path / "confirmation.json").read_text())
    assert told["utterances"]["low"] == pytest.approx(0.1)


def test_trials_of_a_round_on_length_keep_their_own(tmp_path, plant, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = "trainer.max_steps"
    trials = {
        f"p00{place}-{length}-s0": {
            "arm": str(length),
            "values": {steps: length, LR: 1e-2},
            "state": "completed",
            "curve": (score,),
        }
        for place, (length, score) in enumerate(((30, 0.5), (60, 0.6)))
    }
    plant(ROOT / "lr", trials, scientific={steps: Scientific(values=[30, 60])})
    round = make("30")
    row = {one.arm: one for one in design(round)}
    base = base_settings(RoundFolder(ROOT / "lr").base_configs())
    trained = {arm: overrides(round, one, base)["trainer"] for arm, one in row.items()}
    assert {arm: one["max_steps"] for arm, one in trained.items()} == {
        "candidate": 60,
        "baseline": 30,
    }
    with pytest.raises(InputError, match="set alike"):  # but for the length that both shall have
        make("30", steps=90)
