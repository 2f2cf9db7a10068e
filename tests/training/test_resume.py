"""A fit that is killed and resumed ends as the one that was left alone, bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.training.metrics_csv import read_metrics

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


def killed(words):
    """Run the command in a process of its own, which kills itself."""
    code = "from phoneme_lightning.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.run([sys.executable, "-c", code, *words], env=environment, check=False)


def result(folder):
    """Give what must be equal: weights, moments, and every logged figure that is no timing."""
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    rows = [
        {name: value for name, value in row.items() if name not in TIMINGS}
        for row in read_metrics(folder / "metrics.csv")
    ]
    return last["state_dict"], last["optimizer_states"][0]["state"], rows


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


@pytest.mark.parametrize(
    ("settings", "step", "in_validation"),
    [
        pytest.param({}, 13, False, id="in mid-epoch"),
        pytest.param({}, 10, True, id="inside validation"),
        pytest.param({"model.ema_decay": 0.9}, 13, False, id="averaging weights"),
        pytest.param(
            {"trainer.max_steps": -1, "trainer.max_epochs": 3}, 13, False, id="counting epochs"
        ),
    ],
)
def test_killed_and_resumed_equals_quiet(
    quiet, store, tmp_path, monkeypatch, settings, step, in_validation
):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # the checkpoint names the killer
    weights, moments, rows = quiet(settings)
    killer = tmp_path / "killer.yaml"
    killer.write_text(
        "trainer:\n  callbacks:\n    - class_path: killer.KillAt\n"
        f"      init_args: {{step: {step}, in_validation: {str(in_validation).lower()}}}\n"
    )
    words = arguments(store, tmp_path / "run", **settings)
    gone = killed([words[0], "--config", str(killer), *words[1:]])
    assert gone.returncode == -9

    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    PhonemeCLI(["fit", f"--ckpt_path={last}", "--trainer.callbacks=null"])
    again_weights, again_moments, again_rows = result(tmp_path / "run")
    for name, tensor in weights.items():
        assert torch.equal(tensor, again_weights[name]), name
    for index, state in moments.items():
        for name, tensor in state.items():
            assert torch.equal(tensor, again_moments[index][name]), (index, name)
    assert again_rows == rows
