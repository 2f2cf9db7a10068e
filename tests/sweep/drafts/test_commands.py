"""The commands that draft, on a real round that is kept."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.drafts.commands import exploit, lengthen, next_round
from phoneme_lightning.sweep.round_file import read_round

ROOT = Path(__file__).parents[3]
ROUNDS = ROOT / "results/rounds"
PLAIN = {"name": None, "arm": None, "ask": [], "question": None, "steps": None}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", "configs")


def test_drafts_are_round_files_and_are_never_overwritten(capsys):
    assert next_round("lr_round1", ROUNDS, **PLAIN) == 0
    assert exploit("lr_round1", ROUNDS, None, points=7, sampler="tpe") == 0
    assert lengthen("lr_round1", ROUNDS, None, to=1200, points=2) == 0
    said = capsys.readouterr().out
    names = ("lr_round2", "lr_round1_exploit", "lr_round1_long")
    following, last, long = (read_round(f"sweeps/{name}.yaml") for name in names)
    assert all(f"phoneme-sweep run sweeps/{name}.yaml" in said for name in names)
    assert following.training.steps == 1200  # as its finding on the length says
    assert (last.phase, last.sampler.kind, last.budget.points) == ("exploit", "tpe", 7)
    assert long.sampler.kind == "list"
    assert len(long.sampler.points) == 2
    with pytest.raises(InputError, match=r"lr_round2\.yaml is there already"):
        next_round("lr_round1", ROUNDS, **PLAIN)


def test_a_draft_that_lint_cannot_read_is_not_left_behind():
    shutil.rmtree("configs")
    with pytest.raises(InputError, match=r"configs/rnn\.yaml"):
        next_round("lr_round1", ROUNDS, **PLAIN)
    assert not list(Path().glob("sweeps/*"))


def test_an_arm_that_is_chosen_is_gone_on_with(capsys):
    chosen = {"arm": "constant", "ask": ["model.ema_decay=[0, 0.99]"], "question": "Average?"}
    assert next_round("lr_round1", ROUNDS, **{**PLAIN, **chosen}) == 0
    round = read_round("sweeps/lr_round2.yaml")
    assert round.fixed["model.schedule"] == "constant"
    assert round.scientific["model.ema_decay"].values == [0, 0.99]
    assert round.goal.question == "Average?"


KEPT = {
    "dropout_round2": (
        "lr_round1",
        {
            "ask": ["model.backbone.init_args.dropout=[0, 0.3]"],
            "question": "Does a short fit gain from dropout?",
        },
    ),
    "masks_round3": (
        "dropout_round2",
        {
            "arm": "0",
            "ask": ["data.augment.time_masks=[0, 2]"],
            "question": "Does a short fit gain from hidden spans of frames?",
        },
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_round_is_the_draft_of_the_one_before_it(name):
    before, chosen = KEPT[name]
    next_round(before, ROUNDS, **{**PLAIN, "name": name, "steps": 600, **chosen})
    drafted = read_round(f"sweeps/{name}.yaml")
    assert drafted == replace(read_round(ROUNDS / name / "source.yaml"), name=name)


@pytest.mark.parametrize("ask", ["model.schedule", "model.schedule=cosine", "=[1, 2]", "x=[1]"])
def test_a_question_that_is_none_is_said_in_a_line(ask):
    with pytest.raises(InputError, match=r"give KEY=\[VALUE, VALUE"):
        next_round("lr_round1", ROUNDS, **{**PLAIN, "ask": [ask]})


def test_longer_is_longer():
    with pytest.raises(InputError, match="--to is 600"):
        lengthen("lr_round1", ROUNDS, None, to=600, points=2)
