"""A plan counts what a round would train, and times it by real steps or by trials that ended."""

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.opening import open_round
from phoneme_lightning.sweep.plan import describe, make_plan, plan, show
from phoneme_lightning.sweep.round import Budget, Scientific
from phoneme_lightning.sweep.spaces import Categorical, Int, Log, Uniform
from phoneme_lightning.sweep.stopwatch import Stopwatch

LR = "model.optimizer.init_args.lr"
GRID = """
goal: {question: "Which?"}
base: [configs/tiny.yaml]
budget: {points: 10, parallel: 2}
training: {steps: 12, evaluate_every: 3}
nuisance:
  model.schedule: {dist: categorical, choices: [constant, cosine, linear]}
  model.backbone.init_args.hidden_size: {dist: int, low: 4, high: 12}
constraints: [model.backbone.init_args.hidden_size <= 8]
sampler: {kind: grid}
seeds: [0, 1]
"""


def shown(made):
    page = io.StringIO()
    show(made, Console(file=page, width=120))
    return page.getvalue()


def test_arms_points_and_seeds_are_counted_and_timed_by_real_steps(place, monkeypatch):
    monkeypatch.chdir(place.path)
    file = place.write("mine", seeds="[0, 1]", budget="{points: 3, parallel: 2, trial_time: 0.1s}")
    folder, round = open_round(file, lambda *_: None, root=place.path / "elsewhere")
    made = make_plan(folder, round)
    assert [(arm.arm, arm.fits, arm.steps) for arm in made.arms] == [
        ("constant", 6, 12),
        ("cosine", 6, 12),
    ]
    assert made.fits == 12
    assert made.parallel == 2
    for arm in made.arms:
        assert arm.spaces == {LR: Log(1e-3, 3e-2)}
        assert arm.parameters > 1000
        assert 0 < arm.seconds < 120
        assert arm.measured == "12 steps and a validation, 2 fits at once"
    assert made.seconds == pytest.approx(sum(6 * arm.seconds for arm in made.arms) / 2)
    page = shown(made)
    assert "arms 2 x points 3 x seeds 2 = 12 fits; 2 at once on this machine" in page
    assert "lr: 0.001 to 0.03 (log)" in page
    assert "a fit of cosine takes longer than budget.trial_time, 0.1s" in page
    assert not list(place.path.glob("elsewhere/mine/trials/*"))


def test_what_is_counted_is_what_would_train(place, monkeypatch):
    monkeypatch.chdir(place.path)
    monkeypatch.setattr(
        "phoneme_lightning.sweep.plan.measure_times",
        lambda folder, round, rows, *rest: dict.fromkeys(rows, (10.0, "nothing")),
    )
    file = place.write("mine", GRID)
    folder, round = open_round(file, lambda *_: None, root=place.path / "elsewhere")
    made = make_plan(folder, round)
    assert [(arm.fits, arm.forbidden) for arm in made.arms] == [(12, 6)]  # 3 x 3 points
    assert made.seconds == 12 * 10 / 2
    page = shown(made)
    assert "arms 1 x points 9 x seeds 2 = 18 fits; 2 at once" in page
    assert "constraints forbid 6 fits of all" in page


def test_trials_that_have_ended_tell_the_time(place, plant, monkeypatch, capsys):
    arms = {"scientific": {"model.schedule": Scientific(values=["constant", "cosine"])}}
    trials = {
        f"p00{point}-{arm}-s0": {
            "arm": arm,
            "values": {"model.schedule": arm},
            "state": "completed",
            "curve": [0.5],
        }
        for point in range(2)
        for arm in ("constant", "cosine")
    }
    monkeypatch.chdir(place.path)
    path = place.path / "runs/rounds/past"
    folder = plant(path, trials, budget=Budget(2, parallel=4), evidence=False, **arms)
    _, round = open_round(path, lambda *_: None)
    made = make_plan(folder, round, folder)
    assert [(arm.seconds, arm.measured) for arm in made.arms] == [(2.5, "2 ended trials")] * 2
    assert made.seconds == pytest.approx(4 * 2.5 / 4)
    plan(path)
    said = capsys.readouterr().out
    assert "NOT EVIDENCE" in said
    assert "constant, cosine: timed on 2 ended trials" in said


def test_what_cannot_be_timed_says_why(place, monkeypatch):
    monkeypatch.chdir(place.path)
    file = place.write("mine", overrides="{data.deltas: file}")  # which this corpus has not
    folder, round = open_round(file, lambda *_: None, root=place.path / "elsewhere")
    with pytest.raises(InputError, match=r"arm constant: .*data\.deltas is 'file'"):
        make_plan(RoundFolder(folder.path), round)


def test_of_several_ranks_the_first_alone_writes_its_times(tmp_path):
    watch = Stopwatch(str(tmp_path / "times.json"), 1)
    watch.step = 0.5
    watch.on_train_end(SimpleNamespace(is_global_zero=False), None)
    assert not watch.file.exists()
    watch.on_train_end(SimpleNamespace(is_global_zero=True), None)
    assert json.loads(watch.file.read_text()) == {"step": 0.5, "validation": 0.0}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (Log(1e-4, 1), "0.0001 to 1 (log)"),
        (Uniform(0, 0.5), "0 to 0.5 (uniform)"),
        (Int(1, 8), "1 to 8 (int)"),
        (Categorical(["a", "b"]), "a | b"),
    ],
)
def test_a_space_is_told_in_a_few_words(space, said):
    assert describe(space) == said
