"""From the competition's own files to a submission, by the commands that a person types."""

import sys
from pathlib import Path

import numpy as np
import pytest

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.data_cli import main
from phoneme_lightning.inference.predict import predict_utterance
from phoneme_lightning.inference.submission import read_submission

CRNN = Path(__file__).parents[2] / "configs" / "crnn.yaml"

SMALL = {
    "model.backbone.init_args.width": 4,  # 2 crash PyTorch on several threads
    "model.backbone.init_args.blocks": "[1,1,1,1]",
    "model.backbone.init_args.hidden_size": 4,
    "trainer.max_steps": 3,
    "trainer.val_check_interval": 3,
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
    "trainer.enable_progress_bar": "false",
    "run.folder": "run",
    "run.pictures": "false",
    "wandb.mode": "disabled",
}


@pytest.mark.parametrize(("year", "train", "test"), [(2022, 12, 5), (2023, 10, 3)])
def test_the_crnn_of_configs_makes_a_submission(year, train, test, folder, tmp_path, monkeypatch):
    """Both years have one layout, so what differs here is how much there is, and of whom."""
    source = tmp_path / str(year)
    raw = type(folder)(source / "libriphone", train=train, test=test)
    raw.splits["test"].reverse()  # the order of test_split.txt is not that of the names
    raw.write_texts()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["phoneme-data", "prepare", "libriphone", str(source)])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    monkeypatch.setattr(sys, "argv", ["phoneme-cli"])
    words = [f"--{key}={value}" for key, value in SMALL.items()]
    PhonemeCLI(["fit", "--config", str(CRNN), *words])
    PhonemeCLI(["predict", "--ckpt_path=run/checkpoints/best.ckpt"])

    listed = (source / "libriphone" / "test_split.txt").read_text().split()
    store = FrameStore("data/libriphone")
    parts = [
        predict_utterance("run/checkpoints/best.ckpt", store, store.ids.index(name))
        for name in listed
    ]
    assert [len(part) for part in parts] == [len(raw.features[name]) for name in listed]
    classes = read_submission("run/prediction.csv")
    assert np.array_equal(classes, np.concatenate(parts))
    assert not np.array_equal(classes, np.concatenate(parts[::-1]))
