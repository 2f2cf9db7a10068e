"""A corpus of other phones: as many classes, scores in those in which it is scored."""

import json

import numpy as np
import pytest
import torch

from phoneme_lightning.batch import Batch
from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.corpora.splits import draw_splits
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.predict import predict_utterance
from phoneme_lightning.phones import IGNORE_LABEL
from phoneme_lightning.training.metrics import PhoneMetrics, correct_frames
from phoneme_lightning.training.record import read_record

PHONES = ("iy", "ix", "sil", "cl")
SCORED_AS = {"ix": "iy", "cl": "sil"}
BACKBONE = ["--model.backbone=RNN", "--model.backbone.init_args.hidden_size=8"]
SMALL = ["--trainer.max_steps=2", "--trainer.val_check_interval=2", "--wandb.mode=disabled"]


@pytest.fixture
def place(tmp_path, monkeypatch, make_store):
    """Give a folder with a store of four phones that are scored as two, and one of ours."""
    draw = np.random.default_rng(0)
    speakers = [f"s{number % 4}" for number in range(12)]
    with StoreWriter(tmp_path / "data" / "few", coefficients=13) as writer:
        for number, speaker in enumerate(speakers):
            labels = draw.integers(-1, 4, size=6).repeat(5)
            writer.add(f"{speaker}-{number}", speaker, draw.normal(size=(30, 13)), labels)
        writer.finish(
            corpus="few",
            splits=draw_splits(speakers, np.arange(12) > 8, fraction=0.25),
            settings={},
            counts={},
            phones=PHONES,
            scored_as=SCORED_AS,
        )
    make_store(tmp_path / "data" / "spoken")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["phoneme-cli"])


def test_confusing_two_phones_that_are_scored_as_one_is_no_mistake():
    labels = [torch.tensor([0, 0, 1, 2, 3, IGNORE_LABEL])]
    batch = Batch.collate([torch.zeros(6, 1)], labels, [0])
    classes, fold = torch.tensor([[1, 1, 0, 3, 0, 2]]), torch.tensor([0, 0, 1, 1])
    metrics = PhoneMetrics(4, fold)
    metrics.update(classes, batch)
    scores = metrics.compute()
    assert scores["frame_accuracy"] == pytest.approx(4 / 5)
    assert scores["phone_error_rate"] == pytest.approx(1 / 2)
    assert metrics.confusion.tolist() == [[3, 0], [1, 1]]
    assert [int(x) for x in correct_frames(classes, batch, fold)] == [4, 5]
    assert not metrics.state_dict()


def test_a_fit_has_a_class_for_each_phone_and_its_checkpoint_says_which(place, tmp_path):
    words = ["--data.corpus=few", "--run.folder=run", "--run.test_after_fit=true"]
    cli = PhonemeCLI(["fit", *BACKBONE, *SMALL, *words])
    assert cli.model.num_classes == 4
    assert cli.model.val_metrics.confusion.shape == (2, 2)
    record = read_record("run/checkpoints/best.ckpt")
    assert tuple(record["phones"]) == PHONES
    assert record["scored_as"] == SCORED_AS
    assert record["config"]["model"]["num_classes"] == 4
    tested = json.loads((tmp_path / "run" / "test.json").read_text())
    assert set(tested["by_phone"]) == {"iy", "sil"}
    assert 0 < tested["silence_share"] < 1
    labels = np.concatenate(
        [cli.datamodule.store[p].labels for p in cli.datamodule.positions("test")]
    )
    predicted = np.loadtxt("run/prediction.csv", delimiter=",", skiprows=1, dtype=int)[:, 1]
    known, fold = labels >= 0, cli.datamodule.store.fold
    right = fold[predicted[known]] == fold[labels[known]]
    assert tested["frame_accuracy"] == pytest.approx(right.mean())
    with pytest.raises(InputError, match=r"ckpt_path tells apart 4 phones .* labelled with 41"):
        PhonemeCLI(["test", "--ckpt_path=run/checkpoints/best.ckpt", "--data.corpus=spoken"])
    with pytest.raises(InputError, match=r"ckpt_path tells apart 4 phones .* labelled with 41"):
        predict_utterance("run/checkpoints/best.ckpt", FrameStore("data/spoken"), 0)


def test_another_number_of_classes_is_refused(place):
    with pytest.raises(InputError, match=r"num_classes is 7, .* labelled with 4 phones"):
        PhonemeCLI(["fit", *BACKBONE, *SMALL, "--data.corpus=few", "--model.num_classes=7"])
