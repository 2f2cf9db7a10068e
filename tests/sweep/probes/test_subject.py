"""What is probed, and the round that a probe becomes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.keys import LEARNING_RATE
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.probes.few_utterances import cut_corpus
from phoneme_lightning.sweep.probes.lr import lr_round, read_setting
from phoneme_lightning.sweep.probes.steps import steps_round, training_set
from phoneme_lightning.sweep.probes.subject import Subject, find_subject
from phoneme_lightning.sweep.probes.warmup import base_rate, warmup_round
from phoneme_lightning.sweep.round import Objective, Tracking

CONFIG = Path(__file__).parents[3] / "configs/rnn.yaml"
ROUND = Path(__file__).parents[3] / "sweeps/lr_round1.yaml"
OF_THE_CONFIG = yaml.safe_load(CONFIG.read_text())["model"]["optimizer"]["init_args"]["lr"]


def test_configs_are_laid_over_one_another_and_settings_over_them(tmp_path):
    over = tmp_path / "over.yaml"
    over.write_text("model: {warmup_steps: 7}\ntrainer: {max_steps: 10}\n")
    found = find_subject([str(CONFIG), str(over)], ["trainer.max_steps=20"], tmp_path)
    assert found.name == "rnn"
    assert (found.get("model.warmup_steps"), found.steps(None), found.steps(5)) == (7, 20, 5)
    assert found.number(LEARNING_RATE) == OF_THE_CONFIG
    assert found.words == f"{CONFIG} {over} --set trainer.max_steps=20"


def test_of_a_round_the_best_trial_is_taken(plant, tmp_path):
    trials = {
        f"t{n}": {"state": "completed", "values": {LEARNING_RATE: rate}, "curve": [0.1, best]}
        for n, (rate, best) in enumerate([(0.001, 0.5), (0.02, 0.7), (0.3, 0.6)])
    }
    plant(tmp_path / "planted", trials, tracking=Tracking("disabled"))
    found = find_subject(["planted"], ["model.warmup_steps=3"], tmp_path)
    assert (found.name, found.parent) == ("planted", "planted")
    assert found.number(LEARNING_RATE) == 0.02
    assert found.get("model.warmup_steps") == 3
    assert found.get("wandb.mode") == "disabled"
    assert found.steps(None) == 30
    empty = plant(tmp_path / "empty", {"t": {"values": {LEARNING_RATE: 0.1}}})
    with pytest.raises(InputError, match="no trial of empty is completed"):
        find_subject([str(empty.path)], [], tmp_path)


def test_a_round_that_has_not_run_gives_what_all_its_trials_share(monkeypatch, tmp_path):
    monkeypatch.chdir(CONFIG.parents[1])
    found = find_subject([str(ROUND)], [], tmp_path)
    assert found.get("model.backbone.init_args.hidden_size") == 128
    assert (found.number(LEARNING_RATE), found.steps(None)) == (OF_THE_CONFIG, 600)


def probes(subject):
    part = training_set(subject, 4, Path("cut"))
    return [
        lr_round(subject, read_setting(subject, None), 100, None),
        warmup_round(subject, 0.1, [10, 60], None),
        steps_round(subject, [0.01, 0.1, 1.0], 100, 0.99, part, None),
    ]


@pytest.fixture
def subject(make_store, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    make_store(tmp_path / "data/tiny")
    settings = {"data.corpus": "tiny", "run.name": "x", "divergence.chance_after": 3}
    return Subject("rnn", [CONFIG], settings | {"seed_everything": 7})


def test_a_probe_is_a_round_that_lint_lets_pass(subject):
    for made in probes(subject):
        assert made.phase == "probe"
        assert made.seeds == [7]
        assert not {"run.name", "divergence.chance_after", "seed_everything"} & set(made.overrides)
        assert lint(made) == []
        made.phase = "explore"
        assert [one for one in lint(made) if one.severity != "info"]


def test_a_probe_is_kept_from_the_test_split(subject):
    for made in probes(subject):
        made.objective = Objective("test/loss", "min")
        assert [one.rule for one in lint(made)] == ["F1 objective on the test split"]


def test_the_ladder_begins_at_what_the_newest_probe_found_unstable(tmp_path):
    with pytest.raises(InputError, match="run `phoneme-sweep probe lr` first"):
        base_rate("rnn", None, 10, tmp_path)
    for age, (name, rate) in enumerate([("lr-fork2", 0.03), ("lr", 0.5), ("lr-fork3", None)]):
        file = tmp_path / f"rnn-probe-{name}/finding.json"
        file.parent.mkdir()
        found = Finding("probe_lr", "warn", "It breaks.", {"unstable_rate": rate})
        file.write_text(json.dumps(found.as_dict()))
        os.utime(file, (1000 - age, 1000 - age))
    assert base_rate("rnn", None, 10, tmp_path) == pytest.approx(0.3)
    assert base_rate("rnn", 0.2, 10, tmp_path) == 2
    os.utime(file, (2000, 2000))
    with pytest.raises(InputError, match="rnn-probe-lr-fork3 found training stable"):
        base_rate("rnn", None, 10, tmp_path)
    with pytest.raises(InputError, match="--times is 0: give"):
        base_rate("rnn", 0.2, 0, tmp_path)


def test_a_cut_corpus_is_the_first_utterances_and_no_test_split(make_store, tmp_path, monkeypatch):
    store = make_store(tmp_path / "whole", utterances=40)
    monkeypatch.chdir(tmp_path)
    train = store.split("speaker", "train")
    cut = FrameStore(cut_corpus(store, "speaker", 5, Path("cut")))
    assert [cut.ids[n] for n in cut.split("speaker", "train")] == [store.ids[n] for n in train[:5]]
    for n in range(5):
        assert np.array_equal(cut[n].features, store[int(train[n])].features)
        assert np.array_equal(cut[n].labels, store[int(train[n])].labels)
    assert cut_corpus(store, "speaker", 5, Path("cut")) == cut.path
    assert len(cut.split("speaker", "validation"))
    assert len(cut.split("speaker", "test")) == 0
    with pytest.raises(InputError, match=f"give 1 to {len(train)}"):
        cut_corpus(store, "speaker", 41, Path("cut"))
