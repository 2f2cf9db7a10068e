"""From a round to the private half, by real fits; and who may not look."""

import json
import sys
from pathlib import Path

import pytest

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions import private
from phoneme_lightning.sweep.decisions.private import look_at_private
from phoneme_lightning.sweep.decisions.promotion import promote, read_decision

ROOT = Path("runs/rounds")


def look(what="lr", again=False):
    return look_at_private(
        what, ROOT, again=again, run_cli=lambda words: PhonemeCLI(words).exit_code
    )


@pytest.fixture
def promoted(searched, make_store, monkeypatch):
    """Give what promotes a trial whose weights are really trained."""
    monkeypatch.setattr(sys, "argv", ["phoneme-cli"])

    def promoted(labelled=True):
        make_store(Path("data/spoken"), utterances=24, labelled_test=labelled)
        path = promote("lr", ROOT, trial=None, config=None, because="it is known")
        few = ["--trainer.max_steps=4", "--trainer.val_check_interval=2", "--wandb.mode=disabled"]
        folder = searched.attempt("p001-cosine-s0", 2)
        PhonemeCLI(
            ["fit", f"--config={path}", "--run.pictures=false", *few, f"--run.folder={folder}"]
        )
        return path

    return promoted


def test_each_look_is_logged_and_a_second_one_asked_for(promoted, searched):
    path = promoted()
    seen, before = look(str(path))
    assert 0 <= seen.private <= 1
    assert (seen.look, before) == (1, [])
    assert (seen.trial, seen.corpus) == ("p001-cosine-s0", "synthetic")
    for log in (Path("runs/private-looks.jsonl"), searched.path / "private-looks.jsonl"):
        begun, ended = map(json.loads, log.read_text().splitlines())
        assert (begun["look"], begun["private"]) == (1, None)
        assert (ended["look"], ended["private"]) == (1, seen.private)
    with pytest.raises(InputError, match=r"looked at 1 time\(s\).*--yes looks again"):
        look("lr")
    seen, before = look("lr", again=True)
    assert (seen.look, len(before)) == (2, 1)
    path.write_text(path.read_text() + "# a change\n")
    with pytest.raises(InputError, match="has changed since it was promoted"):
        look("lr", again=True)


def test_a_look_that_was_interrupted_counts(promoted, monkeypatch):
    promoted()

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(private, "read_scores", stop)
        with pytest.raises(KeyboardInterrupt):
            look()
    with pytest.raises(InputError, match=r"looked at 1 time\(s\).*\(interrupted\)"):
        look()
    assert look(again=True)[0].look == 2


def test_only_what_was_promoted_is_looked_at(searched):
    with pytest.raises(InputError, match="nothing of lr is promoted"):
        look("lr")
    Path("configs").mkdir()
    Path("configs/mine.yaml").write_text("model: {}\n")
    with pytest.raises(InputError, match="was not promoted by any round"):
        look("configs/mine.yaml")
    with pytest.raises(InputError, match=r"there is no config configs/nosuch\.yaml"):
        look("configs/nosuch.yaml")
    assert not Path("runs/private-looks.jsonl").exists()


def test_a_second_name_hides_neither_the_first_config_nor_its_looks(promoted, searched):
    first = promoted()
    second = promote("lr", ROOT, trial=None, config="other", because="by another name")
    told = read_decision(searched)
    assert told["config"] == str(second)
    assert [one["config"] for one in told["earlier"]] == [str(first)]
    assert look(str(first))[0].look == 1
    with pytest.raises(
        InputError, match=r"other\.yaml has been looked at 1 time\(s\), last as .*lr"
    ):
        look(str(second))
    assert look(str(second), again=True)[0].look == 2
    third = promote("lr", ROOT, trial=None, config="third", because="and another")
    told = read_decision(searched)
    assert [one["config"] for one in told["earlier"]] == [str(second), str(first)]
    assert all("earlier" not in one for one in told["earlier"])
    assert look(str(third), again=True)[0].look == 3


def test_what_a_kept_round_promoted_is_found_by_its_config(promoted, searched):
    path = promoted()
    Path("results").mkdir()
    searched.path.parent.rename("results/rounds")
    assert look(str(path))[0].look == 1


def test_a_corpus_that_keeps_its_labels_back_has_no_private_half(promoted):
    promoted(labelled=False)
    with pytest.raises(InputError, match="has no private half here"):
        look("lr")
    assert not Path("runs/private-looks.jsonl").exists()


def test_weights_that_are_gone_are_said_to_be_gone(promoted, searched):
    promoted()
    (searched.attempt("p001-cosine-s0", 2) / "checkpoints/best.ckpt").unlink()
    with pytest.raises(InputError, match="the weights of p001-cosine-s0 of lr are gone"):
        look("lr")
