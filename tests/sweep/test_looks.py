"""The look at the public half, with a real fit's weights and the real command line."""

import json
import sys
import time
from threading import Thread

import pytest

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.looks import look, read_looks
from phoneme_lightning.sweep.records import read_records
from phoneme_lightning.sweep.round_file import read_round
from phoneme_lightning.sweep.scores import name_best, project_table

SMALL = (
    "--model.backbone=phoneme_lightning.models.RNN",
    "--model.backbone.init_args.hidden_size=8",
    "--model.optimizer.init_args.lr=0.01",
    "--data.frames_per_batch=200",
    "--trainer.max_steps=6",
    "--trainer.val_check_interval=3",
    "--trainer.enable_progress_bar=false",
    "--wandb.mode=disabled",
)


@pytest.fixture
def fitted(tmp_path, monkeypatch, plant, make_store):
    """Give a planted round of which one trial, whose attempt 2 decided, was really fitted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["phoneme-cli"])

    def fit(labelled):
        make_store(tmp_path / "data/spoken", utterances=24, labelled_test=labelled)
        folder = plant(tmp_path / "runs/rounds/lr", {"p0": {"state": "interrupted", "values": {}}})
        attempt = folder.attempt("p0", 2)
        PhonemeCLI(["fit", *SMALL, f"--run.folder={attempt}"])
        objective = read_round(folder.round).objective
        [record] = read_records(folder, objective, 3)
        assert record.state == "completed"
        return folder, record

    return fit


class Cli:
    """Runs phoneme-cli in this process, and remembers with what."""

    def __init__(self):
        self.calls = []

    def __call__(self, argv):
        self.calls.append(argv)
        return PhonemeCLI(argv).exit_code


def test_the_public_half_alone_is_scored_and_once(fitted, tmp_path):
    folder, record = fitted(labelled=True)
    cli = Cli()
    seen = look(folder, record, cli)
    assert look(folder, record, cli) == seen
    assert read_looks(folder) == [seen]
    assert read_records(folder, read_round(folder.round).objective, 3) == [record]
    assert (seen.trial, seen.what) == ("p0", "trials/p0/attempt-2/checkpoints/best.ckpt")
    assert [call[0] for call in cli.calls] == ["predict"]
    [told] = project_table()
    assert (told.model, told.public, told.corpus) == ("lr/p0", seen.public, "synthetic")
    assert name_best() == (
        f"best public score so far: {seen.public:.4f} on synthetic, by lr/p0 (round lr)"
    )

    # The command that tells both halves agrees on the public one; nothing told the private one.
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    PhonemeCLI(["test", f"--ckpt_path={record.folder / 'checkpoints/best.ckpt'}"])
    both = json.loads((record.folder / "test.json").read_text())
    assert both["public"] == pytest.approx(seen.public, abs=1e-12)
    assert 0 < both["private"] != both["public"]
    known = str(both["private"])[:8].encode()
    texts = [t for path, t in before.items() if path.suffix in (".txt", ".json", ".jsonl", ".csv")]
    assert len(texts) > 5
    assert not any(known in text for text in texts)
    # Tested again, the weights still stand once in the project's table.
    assert [score.source for score in project_table()] == ["phoneme-cli test"]


def test_two_that_look_at_the_same_time_look_once(fitted):
    folder, record = fitted(labelled=True)
    cli, seen = Cli(), []

    def slow(argv):
        other.start()
        time.sleep(0.3)
        assert not seen
        return cli(argv)

    other = Thread(target=lambda: seen.append(look(folder, record, cli)))
    first = look(folder, record, slow)
    other.join()
    assert seen == [first]
    assert len(cli.calls) == len(read_looks(folder)) == 1


def test_a_corpus_without_test_labels_is_said_and_its_prediction_written(fitted, tmp_path):
    folder, record = fitted(labelled=False)
    seen = look(folder, record, Cli())
    assert seen.public is None
    for words in ("keeps its test labels back", "phoneme-sweep submit", "phoneme-sweep score"):
        assert words in seen.what
    assert read_looks(folder) == project_table() == []
    assert (record.folder / "prediction.csv").is_file()


def test_what_cannot_be_scored_is_one_line(fitted):
    folder, record = fitted(labelled=True)
    with pytest.raises(InputError, match=r"predict .* exit code 3"):
        look(folder, record, lambda argv: 3)
    (record.folder / "checkpoints/best.ckpt").unlink()
    with pytest.raises(InputError, match="p0 has no weights to score"):
        look(folder, record, Cli())
    assert read_looks(folder) == []
