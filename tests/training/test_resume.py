"""A fit that is killed and resumed ends as the one that was left alone, bit for bit."""

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import read_outcome
from phoneme_lightning.training.run import RunSettings, new_run_folder
from phoneme_lightning.training.utterance_file import UTTERANCES, read_utterances

pytestmark = pytest.mark.usefixtures("alone")  # the checkpoint names the killer

STEPS = 24
VALIDATE_EVERY = 5
TIMINGS = ("train/frames_per_second", "train/wait_share")


def arguments(store, folder, **more):
    """Give a fit whose every source of noise is on: dropout, masks, noise, stretch."""
    settings = {
        "data.corpus": store.path,
        "data.frames_per_batch": 120,
        "data.augment.time_masks": 1,
        "data.augment.coefficient_masks": 1,
        "data.augment.noise": 0.1,
        "data.augment.stretch": 0.1,
        "model.backbone": "phoneme_lightning.models.RNN",
        "model.backbone.init_args.hidden_size": 8,
        "model.backbone.init_args.dropout": 0.3,
        "model.warmup_steps": 4,
        "trainer.max_steps": STEPS,
        "trainer.val_check_interval": VALIDATE_EVERY,
        "trainer.log_every_n_steps": 1,
        "trainer.enable_progress_bar": "false",
        "wandb.mode": "disabled",
        "run.folder": folder,
        **more,
    }
    return ["fit", *(f"--{key}={value}" for key, value in settings.items())]


def result(folder):
    """Give what must be equal: weights, moments, and every logged figure that is no timing."""
    files = sorted((folder / "checkpoints").iterdir())
    loaded = {file.name: torch.load(file, weights_only=True) for file in files}
    last = loaded["last.ckpt"]
    moments = last["optimizer_states"][0]["state"]
    (best,) = (
        state
        for key, state in last["callbacks"].items()
        if "MovableCheckpoint{'monitor': 'val" in key
    )
    return {
        "files": list(loaded),
        "tensors": {
            (file, name): tensor
            for file, checkpoint in loaded.items()
            for name, tensor in checkpoint["state_dict"].items()
        }
        | {(index, name): x for index, state in moments.items() for name, x in state.items()},
        "best": (float(best["best_model_score"]), Path(best["best_model_path"]).name),
        "rows": [
            {name: value for name, value in row.items() if name not in TIMINGS}
            for row in read_metrics(folder / "metrics.csv")
        ],
        "utterances": read_utterances(folder),
        "outcome": replace(read_outcome(folder), seconds=0.0),
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory, make_store):
    return make_store(tmp_path_factory.mktemp("resume") / "store", utterances=24)


@pytest.fixture(scope="module")
def quiet(store, tmp_path_factory):
    """Give the result of a fit left alone, for each setting, trained once."""
    results = {}

    def train(settings):
        key = str(settings)
        if key not in results:
            folder = tmp_path_factory.mktemp("quiet")
            PhonemeCLI(arguments(store, folder, **settings))
            results[key] = result(folder)
        return results[key]

    return train


CASES = [
    pytest.param({}, 13, "training", id="in mid-epoch"),
    pytest.param({}, 10, "validation", id="inside validation"),
    pytest.param({"model.ema_decay": 0.9}, 13, "training", id="averaging weights"),
    pytest.param(
        {"model.mixup": 0.4, "model.neighbour_weight": 0.3, "model.ctc_weight": 0.3},
        13,
        "training",
        id="mixing utterances, with every loss",
    ),
    pytest.param(
        {"trainer.max_steps": -1, "trainer.max_epochs": 3}, 13, "training", id="counting epochs"
    ),
    pytest.param({"run.keep_best": 3}, 19, "training", id="keeping three"),
    pytest.param({}, STEPS, "validation", id="inside the last validation"),
    pytest.param({}, STEPS, "end", id="after the last validation"),
    pytest.param({"model.ema_decay": 0.9}, STEPS, "end", id="averaging, after the last"),
]


@pytest.mark.parametrize("copied", [False, True], ids=["in place", "in a copy"])
@pytest.mark.parametrize(("settings", "step", "moment"), CASES)
def test_killed_and_resumed_equals_quiet(
    quiet, store, tmp_path, forks, mishap, settings, step, moment, copied
):
    first, folder = tmp_path / "attempt-1", tmp_path / "attempt-2"
    words = arguments(store, first, **settings)
    words.append(f"--trainer.callbacks={mishap('Kill', step=step, moment=moment)}")
    assert forks.run(words, tmp_path / "said") == -signal.SIGKILL
    assert read_outcome(first) is None

    if copied:
        folder.mkdir()
        for name in ("config.yaml", "metrics.csv", UTTERANCES):
            shutil.copy(first / name, folder)
        shutil.copytree(first / "checkpoints", folder / "checkpoints")
        shutil.rmtree(first)
    else:
        folder = first
    PhonemeCLI(
        ["fit", f"--ckpt_path={folder}/checkpoints/last.ckpt", "--trainer.callbacks=null"]
        + [f"--run.folder={folder}"] * copied  # as a round says it
    )
    expected, found = quiet(settings), result(folder)
    assert found["rows"] == expected["rows"]
    assert found["files"] == expected["files"]
    assert found["best"] == expected["best"]
    assert found["utterances"] == expected["utterances"]
    assert found["outcome"] == expected["outcome"]
    for name, tensor in expected["tensors"].items():
        assert torch.equal(tensor, found["tensors"][name]), name


def test_killed_before_the_first_checkpoint_and_begun_afresh_equals_quiet(
    quiet, store, tmp_path, forks, mishap
):
    words = arguments(store, tmp_path / "attempt-1")
    words.append(f"--trainer.callbacks={mishap('Kill', step=VALIDATE_EVERY - 1)}")
    assert forks.run(words, tmp_path / "said") == -signal.SIGKILL
    assert not list((tmp_path / "attempt-1").glob("checkpoints/*"))
    assert forks.run(arguments(store, tmp_path / "attempt-2"), tmp_path / "said") == 0
    expected, found = quiet({}), result(tmp_path / "attempt-2")
    assert found["rows"] == expected["rows"]
    for name, tensor in expected["tensors"].items():
        assert torch.equal(tensor, found["tensors"][name]), name


def test_a_fit_that_diverges_is_given_up_at_the_same_step_when_resumed(
    store, tmp_path, forks, mishap
):
    words = ["--model.optimizer.init_args.lr=1e30", "--divergence.lost_gradients=9"]
    quiet, folder = tmp_path / "quiet", tmp_path / "run"
    assert forks.run([*arguments(store, quiet), *words], tmp_path / "said") == 2
    words.append(f"--trainer.callbacks={mishap('Kill', step=8)}")
    assert forks.run([*arguments(store, folder), *words], tmp_path / "said") == -signal.SIGKILL
    last = folder / "checkpoints" / "last.ckpt"
    words = ["fit", f"--ckpt_path={last}", "--trainer.callbacks=null"]
    assert forks.run(words, tmp_path / "said") == 2
    expected, found = (replace(read_outcome(f), seconds=0.0) for f in (quiet, folder))
    assert expected.cause == "nan"
    assert found == expected


def test_a_folder_that_holds_a_run_is_not_taken_for_another(tmp_path):
    settings = RunSettings(folder=str(tmp_path))
    (tmp_path / "config.yaml").touch()
    with pytest.raises(InputError, match="or delete it, which came to no validation"):
        new_run_folder(settings, {})
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/last.ckpt").touch()
    with pytest.raises(InputError, match=r"or go on with --ckpt_path .*/checkpoints/last\.ckpt"):
        new_run_folder(settings, {})
