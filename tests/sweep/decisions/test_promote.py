"""A winner becomes a config: which one, when not, and what is written."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.confirmation import judge
from phoneme_lightning.sweep.decisions.promotion import promote, read_decision
from phoneme_lightning.sweep.decisions.settings import settings_of, training_settings
from phoneme_lightning.sweep.decisions.side import find_side
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.round_file import dump_round

ROOT = Path("runs/rounds")
CLEAR = ([0.60, 0.61, 0.62, 0.60, 0.61], [0.50, 0.52, 0.51, 0.50, 0.52])
CANDIDATE = "p001-cosine-s0"


@pytest.fixture
def judged(confirmed):
    """Give what plants a confirm round with its verdict."""

    def judged(ours, theirs, look=1, name="lr-confirm", candidate=CANDIDATE):
        folder, round = confirmed(ours, theirs, name)
        told = {"candidate": candidate, "baseline": "the starting config"}
        judge(folder, round, look, min_gain=0.0, command="again", **told)
        return folder

    return judged


def decide(name="lr", trial=None, config=None, because=None):
    return promote(name, ROOT, trial=trial, config=config, because=because)


def parsed(path):
    """Give the config as phoneme-cli reads it."""
    from phoneme_lightning.sweep.check import resolve

    return resolve([path], {})


@pytest.mark.parametrize("asked", ["lr", "lr-confirm"])
def test_a_confirmed_winner_becomes_a_config_with_its_provenance(searched, judged, asked):
    judged(*CLEAR)
    path = decide(asked)
    assert path == Path("configs/lr.yaml")
    text = path.read_text().replace("\n# ", " ")
    assert "p001-cosine-s0 of the round lr" in text
    assert "ADOPT: val/frame_accuracy is better by 0.0980" in text
    assert "0.6080, mean of 5 seeds in lr-confirm" in text
    config = parsed(path)
    assert config["run"]["name"] == "lr"
    assert config["data"]["corpus"] == "auto"
    assert config["seed_everything"] == 0
    assert str(Path.cwd()) not in text
    trial = find_side(f"lr:{CANDIDATE}", ROOT)
    expected = settings_of(trial.folder, trial.round, trial.trials[0])
    assert training_settings(config) == expected
    for round in ("lr", "lr-confirm"):
        told = read_decision(RoundFolder(ROOT / round))
        assert told["config"] == "configs/lr.yaml"
        assert (told["round"], told["trial"]) == ("lr", CANDIDATE)
        assert told["weights"] == {"round": "lr-confirm", "trial": "p000-candidate-s3"}
        assert told["confirmation"]["verdict"] == "ADOPT"
        assert told["confirmation"]["round"] == "lr-confirm"
        assert told["because"].startswith("ADOPT")
        assert {"when", "who", "open", "sha256"} <= told.keys()


def test_the_corpus_is_as_the_base_config_had_it(searched, judged):
    (searched.configs / "1-corpus.yaml").write_text(
        "# auto, when the round began\ndata:\n  corpus: spoken\n"
    )
    decide(because="it is known")
    assert parsed(Path("configs/lr.yaml"))["data"]["corpus"] == "auto"


def test_a_confirm_round_can_be_promoted_where_its_source_is_gone(searched, judged):
    judged(*CLEAR)
    shutil.rmtree(searched.path)
    path = decide("lr-confirm")
    assert path == Path("configs/lr.yaml")
    assert path.read_text().startswith("# p001-cosine-s0 of the round lr, promoted")


def test_it_trains(searched, judged, make_store, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["phoneme-cli"])
    make_store(Path("data/spoken"), utterances=16)
    judged(*CLEAR)
    path = decide(config="mine")
    few = ["--trainer.max_steps=4", "--trainer.val_check_interval=2", "--wandb.mode=disabled"]
    done = PhonemeCLI(["fit", f"--config={path}", "--run.pictures=false", *few])
    assert done.folder.parent == Path("runs/mine")
    assert (done.folder / "checkpoints/best.ckpt").is_file()
    assert (
        yaml.safe_load((done.folder / "config.yaml").read_text())["model"]["schedule"] == "cosine"
    )


def test_what_is_not_confirmed_needs_a_reason(searched, judged):
    with pytest.raises(InputError, match="is not confirmed: phoneme-sweep confirm"):
        decide()
    judged(*CLEAR[::-1])
    with pytest.raises(InputError, match="does not say ADOPT"):
        decide()
    with pytest.raises(InputError, match=r"p000-cosine-s0 is not confirmed"):
        decide(trial="p000-cosine-s0")
    path = decide(because="it is half as large")
    told = read_decision(searched)
    assert told["because"] == "it is half as large"
    assert told["confirmation"]["verdict"] == "HOLD"
    assert "# Because: it is half as large" in path.read_text()


def test_the_newest_confirmation_counts(searched, judged):
    judged(*CLEAR)
    judged(*CLEAR[::-1], name="lr-confirm-again")
    with pytest.raises(InputError, match="lr-confirm-again does not say ADOPT"):
        decide()


def test_an_open_finding_that_blocks_stands_in_the_way(searched, judged):
    judged(*CLEAR)
    for trial in ("p000-cosine-s0", "p002-cosine-s0", "p003-cosine-s0"):
        file = searched.attempt(trial, 1) / "outcome.json"
        told = json.loads(file.read_text()) | {"state": "infeasible", "cause": "nan"}
        file.write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"a finding on lr blocks: .*phoneme-sweep diagnose lr"):
        decide()
    assert not Path("configs/lr.yaml").exists()
    decide(because="the others do not matter")
    assert "block" in {one["verdict"] for one in read_decision(searched)["open"]}


def test_a_demonstration_is_no_evidence(searched, judged):
    folder = judged(*CLEAR)
    folder.round.write_text(dump_round(replace(load_round(folder), evidence=False)))
    with pytest.raises(InputError, match="--quick cut lr-confirm"):
        decide()


def test_no_config_is_overwritten(searched, judged):
    judged(*CLEAR)
    Path("configs").mkdir()
    Path("configs/lr.yaml").write_text("mine")
    with pytest.raises(InputError, match=r"configs/lr\.yaml is there already"):
        decide()
    assert Path("configs/lr.yaml").read_text() == "mine"
    assert read_decision(searched) is None
    with pytest.raises(InputError, match=r"--name is '\.\./up'"):
        decide(config="../up")


def test_a_decision_that_cannot_be_read_stops_before_a_config_is_written(searched):
    (searched.path / "decision.yaml").write_text("x: [")
    with pytest.raises(InputError, match=r"decision\.yaml line 1 is not YAML"):
        decide(because="it is known")
    assert not Path("configs").exists()


def test_no_config_stays_of_which_its_round_cannot_tell(searched):
    (searched.path / "decision.yaml").mkdir()  # no file can take its place
    with pytest.raises(InputError, match=r"lr/decision\.yaml cannot be written .*is promoted"):
        decide(because="it is known")
    assert not list(Path("configs").iterdir())
