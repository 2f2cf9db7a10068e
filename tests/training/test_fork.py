"""Fits in processes forked from one that has only loaded the command line."""

import os
import subprocess
import sys

import pytest
import torch

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.training.outcome import read_outcome


def test_loading_the_command_line_starts_nothing():
    program = (
        "import os, phoneme_lightning.cli, torch, threading, logging\n"
        "print(threading.active_count(), len(os.listdir('/proc/self/task')),\n"
        "      torch.cuda.is_initialized(), logging.getLogger('phoneme_lightning').handlers)"
    )
    # numpy's library of linear algebra begins its own threads, and ends them in a fork.
    environment = {**os.environ, "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", "1", "False", "[]"], done.stderr


@pytest.mark.usefixtures("alone")
def test_forked_fits_speak_each_into_their_own_file_and_end_as_one_that_was_not_forked(
    words, tmp_path, forks
):
    weights = []
    for name in ("one", "two"):
        folder = tmp_path / name
        assert forks.run(words(run__folder=folder), tmp_path / f"{name}.log") == 0
        said = (tmp_path / f"{name}.log").read_text()
        assert said.count(f"run folder: {folder}\n") == 1
        assert said.count("step 8/8") == 1
        assert f"all of this run: {folder}\n" in said
        logged = (folder / "log.txt").read_text()
        assert logged.count("run folder:") == logged.count("all of this run:") == 1
        assert (folder / "command.txt").read_text().splitlines()[-1].startswith("phoneme-cli fit")
        assert read_outcome(folder).state == "completed"
        weights.append(torch.load(folder / "checkpoints/last.ckpt", weights_only=True))
    PhonemeCLI(words())
    weights.append(torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True))
    first, *others = (checkpoint["state_dict"] for checkpoint in weights)
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)


def test_a_mistake_is_said_in_the_file_too(words, tmp_path, forks):
    assert forks.run([*words(), "--model.ema_decay=2"], tmp_path / "said") == 2
    assert "error: model.ema_decay is 2" in (tmp_path / "said").read_text()
