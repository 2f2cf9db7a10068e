"""The project's table: who scored what, on which corpus, and the best of it."""

import json

import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.scores import add_score, find_run, name_best, project_table


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Give the folder runs/ of a fresh project, from which the tests run."""
    monkeypatch.chdir(tmp_path)
    for name, corpus in (("rnn/one", "libriphone"), ("crnn/two", "data/spoken")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        config = f"resolved: {{corpus: {corpus}}}\n"
        (tmp_path / "runs" / name / "config.yaml").write_text(config)
    attempts = tmp_path / "runs/rounds/lr/trials/p003-cosine-s0"
    for n in (1, 2, 10):
        (attempts / f"attempt-{n}").mkdir(parents=True)
        told = {"corpus": {"name": "spoken", "manifest_sha256": ""}}
        (attempts / f"attempt-{n}" / "environment.json").write_text(json.dumps(told))
        if n != 10:  # cut off before its config was written
            (attempts / f"attempt-{n}" / "config.yaml").write_text("{}\n")
    return tmp_path / "runs"


def test_scores_are_ranked_within_their_corpus(runs):
    assert name_best() == "no public score so far"
    add_score(find_run("runs/rnn/one"), 0.83, 0.82)
    add_score(find_run("crnn/two"), 0.95)
    add_score(find_run("lr/p003-cosine-s0"), 0.96, source="round lr")
    assert [(score.model, score.public, score.corpus) for score in project_table()] == [
        ("rnn/one", 0.83, "libriphone"),
        ("lr/p003-cosine-s0", 0.96, "spoken"),
        ("crnn/two", 0.95, "spoken"),
    ]
    assert name_best(corpus="libriphone") == (
        "best public score so far: 0.8300 on libriphone, by rnn/one (by hand)"
    )
    assert name_best(corpus="timit") == "no public score so far on timit"
    both = name_best()
    assert "0.8300 on libriphone" in both
    assert "0.9600 on spoken" in both
    assert "0.95" not in both


def test_a_score_that_was_corrected_replaces_the_first(runs):
    add_score(find_run("rnn/one"), 0.38)
    add_score(find_run("rnn/one"), 0.83)
    assert [score.public for score in project_table()] == [0.83]


def test_what_phoneme_cli_test_wrote_counts_but_not_what_has_no_public_half(runs):
    of_test = {"time": "", "run": "runs/rnn/one", "corpus": "spoken", "private": 0.99}
    for name, public in (("best", 0.7), ("last", 0.6), ("none", float("nan"))):
        line = {**of_test, "checkpoint": f"runs/rnn/one/checkpoints/{name}.ckpt", "public": public}
        with (runs / "scores.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    with (runs / "scores.jsonl").open("a") as file:
        file.write('{"time": "cut o')
    assert [score.public for score in project_table()] == [0.7, 0.6]
    assert "0.99" not in f"{project_table()}{name_best()}"


@pytest.mark.parametrize("name", ["runs/rounds/lr/trials/p003-cosine-s0", "lr/p003-cosine-s0"])
def test_a_trial_is_its_newest_attempt_that_began(runs, name):
    attempts = runs / "rounds/lr/trials/p003-cosine-s0"
    assert find_run(name).resolve() == attempts / "attempt-2"
    assert find_run(attempts / "attempt-1") == attempts / "attempt-1"


def test_a_run_is_found_by_a_file_in_it_and_nothing_else_is(runs):
    assert find_run("runs/rnn/one/config.yaml").resolve() == runs / "rnn/one"
    for name in ("runs/rnn", "runs/rnn/one/no-file", "nobody", "lr/p009", "runs/rounds/lr"):
        with pytest.raises(InputError, match=f"no run at {name}"):
            find_run(name)


@pytest.mark.parametrize("given", [{"public": 83.0}, {"public": 0.5, "private": -1.0}])
def test_a_score_is_a_share(runs, given):
    with pytest.raises(InputError, match="give a share from 0 to 1"):
        add_score(find_run("rnn/one"), **given)
    assert not (runs / "scores.jsonl").exists()
