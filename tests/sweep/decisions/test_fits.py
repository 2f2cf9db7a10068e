"""Fits that were run one by one are compared like rounds, by the files that they leave."""

import json
from pathlib import Path

import pytest
import yaml

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.commands import compare
from phoneme_lightning.sweep.decisions.cost import cost_of
from phoneme_lightning.sweep.decisions.fits import find_fits
from phoneme_lightning.training.outcome import Outcome, write_outcome
from phoneme_lightning.training.utterance_file import write_utterances

METRIC = "val/frame_accuracy"


def write_fit(folder, accuracy, *, seed=0, lr=0.1, fits=1, outcome="completed", metric=METRIC):
    """Write what a fit leaves: two validations, the first of which is the better one."""
    folder.mkdir(parents=True)
    config = {"seed_everything": seed, "model": {"lr": lr}, "run": {"folder": str(folder)}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "command.txt").write_text("# today\nphoneme-cli fit --config a.yaml\n" * fits)
    rows = f"step,{metric}\n10,{accuracy}\n20,{accuracy - 0.1}\n"
    (folder / "metrics.csv").write_text(rows)
    write_utterances(folder, [(f"{s}-1-{n}", 100, round(100 * accuracy)) for s in "123" for n in s])
    if outcome:
        write_outcome(folder, Outcome(outcome, step=20, seconds=5.0, parameters=99))
    return folder


def write_ensemble(folder, accuracy):
    """Write what nets leave that are taken together."""
    folder.mkdir()
    (folder / "validation.json").write_text(json.dumps({METRIC: accuracy}))
    write_utterances(folder, [(f"{s}-1-{n}", 100, round(100 * accuracy)) for s in "123" for n in s])
    return folder


def test_a_fit_is_a_side_and_a_folder_of_its_seeds_is_one(tmp_path):
    for seed, accuracy in enumerate((0.6, 0.7)):
        write_fit(tmp_path / f"gru/s{seed}", accuracy, seed=seed)
    alone, both = find_fits(str(tmp_path / "gru/s1")), find_fits(str(tmp_path / "gru"))
    assert alone.by_seed() == {1: 0.7}
    assert both.by_seed() == {0: 0.6, 1: 0.7}
    assert both.value == pytest.approx(0.65)
    assert both.settings() == {"model.lr": 0.1}


def test_what_is_no_fit_or_a_rounds_is_none(searched, tmp_path):
    """A round's trials may hold a config of their own: they are the round's all the same."""
    attempt = searched.attempt("p001-cosine-s0", 1)
    (attempt / "config.yaml").write_text("seed_everything: 0")
    for place in ("nothing", "lr:cosine", ".", searched.path, attempt, attempt.parent):
        assert find_fits(str(place)) is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"lr": 0.2}, "differ in model.lr"),
        ({"seed": 0}, "have the same seed, 0"),
        ({"outcome": None}, "s1: its fit has not ended"),
        ({"outcome": "infeasible"}, "s1: its fit ended as infeasible"),
        ({"metric": "val/loss"}, "s1 has no val/frame_accuracy"),
    ],
)
def test_fits_that_are_no_side_are_refused_in_a_line(tmp_path, changed, told):
    write_fit(tmp_path / "s0", 0.6)
    write_fit(tmp_path / "s1", **{"accuracy": 0.6, "seed": 1, **changed})
    with pytest.raises(InputError, match=told) as refused:
        find_fits(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_what_was_resumed_is_not_timed(tmp_path):
    write_fit(tmp_path / "once", 0.6)
    write_fit(tmp_path / "twice", 0.6, fits=2)
    once, twice = (find_fits(str(tmp_path / name)).trials for name in ("once", "twice"))
    assert (cost_of(once).seconds, cost_of(twice).seconds) == (5.0, None)


def test_an_ensemble_is_compared_with_a_fit(tmp_path, capsys):
    for seed in (0, 1):
        write_fit(tmp_path / f"gru/s{seed}", 0.6, seed=seed)
    write_ensemble(tmp_path / "both", 0.7)
    compare(str(tmp_path / "both"), str(tmp_path / "gru"), as_json=False, root=Path("runs/rounds"))
    printed = capsys.readouterr().out
    assert "difference, the first less the second: +0.1000" in printed
    assert "utterances: +0.1000 to +0.1000 (3 utterances" in printed
    assert "speakers: +0.1000 to +0.1000 (3 speakers" in printed
    assert "one of the two is no fit and has none" in printed


def test_a_corpus_with_more_to_train_on_is_no_reason_to_say_nothing(tmp_path, capsys):
    for name, accuracy in (("plain", 0.6), ("pseudo", 0.7)):
        told = {"corpus": {"name": "libriphone", "manifest_sha256": name * 4}}
        folder = write_fit(tmp_path / name, accuracy)
        (folder / "environment.json").write_text(json.dumps(told))
    sides = (str(tmp_path / name) for name in ("pseudo", "plain"))
    compare(*sides, as_json=False, root=Path("runs/rounds"))
    printed = capsys.readouterr().out
    assert "says nothing of the nets" not in printed
    assert "only if the same utterances have the same labels in both: they were val" in printed
