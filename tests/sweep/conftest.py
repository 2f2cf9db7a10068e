"""What the tests of whole rounds share: a place with a tiny corpus, a config and a round file."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from phoneme_lightning.sweep.design import Row, write_design
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.round import Budget, Goal, Round, Tracking, Training
from phoneme_lightning.sweep.round_file import dump_round
from phoneme_lightning.sweep.spaces import Log
from phoneme_lightning.training.outcome import Outcome, write_outcome

CONFIG = """
seed_everything: 0
model:
  backbone:
    class_path: phoneme_lightning.models.RNN
    init_args: {hidden_size: 8, num_layers: 1, dropout: 0.1}
  optimizer:
    class_path: torch.optim.AdamW
    init_args: {lr: 2.0e-3}
  schedule: constant
  warmup_steps: 0
data: {corpus: spoken, frames_per_batch: 200, augment: {time_masks: 1, time_mask_frames: 3}}
trainer: {accelerator: cpu, precision: 32-true, log_every_n_steps: 1}
"""

ROUND = """
goal: {question: "Does a decay help?", kind: try a change}
base: [configs/tiny.yaml]
budget: {points: 3, parallel: 2}
training: {steps: 12, evaluate_every: 3}
scientific:
  model.schedule: {values: [constant, cosine]}
nuisance:
  model.optimizer.init_args.lr: {dist: log, low: 1e-3, high: 3e-2}
divergence: {loss_above: null}
retry: {backoff: 0.1s}
storage: {beat: 0.5s, grace: 3s}
tracking: {wandb: disabled}
"""


class Place:
    """A folder to run rounds in.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rounds = path / "runs/rounds"

    def write(self, name: str, text: str = ROUND, **changes: str) -> str:
        """Write a round file with some of its lines changed; give its path."""
        for key, line in changes.items():
            lines = [
                f"{key}: {line}" if old.startswith(f"{key}:") else old for old in text.split("\n")
            ]
            assert lines != text.split("\n") or key not in text
            text = "\n".join(lines) if f"\n{key}:" in text else f"{text}{key}: {line}\n"
        file = self.path / f"sweeps/{name}.yaml"
        file.write_text(text)
        return f"sweeps/{name}.yaml"

    @staticmethod
    def wait_for(found: Callable[[], object], seconds: float = 90) -> object:
        """Wait until something is so, and give what was found."""
        deadline = time.monotonic() + seconds
        while not (seen := found()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return seen

    def start(self, *words: str, **options: object) -> "subprocess.Popen[str]":
        """Start phoneme-sweep here."""
        program = Path(sys.executable).with_name("phoneme-sweep")
        return subprocess.Popen(
            [program, *words],
            cwd=self.path,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "COLUMNS": "150",
                "PYTHONPATH": os.pathsep.join(
                    filter(None, [str(self.path), os.environ.get("PYTHONPATH")])
                ),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def sweep(self, *words: str, code: int = 0) -> str:
        """Run phoneme-sweep here; give what it prints."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=240)
        assert process.returncode == code, said
        return said


def make_place(path, make_store):
    """Make a place with a tiny corpus and a config; `write` makes a round file in it."""
    make_store(path / "data/spoken", utterances=16)
    for name in ("configs", "sweeps"):
        (path / name).mkdir()
    (path / "configs/tiny.yaml").write_text(CONFIG)
    return Place(path)


@pytest.fixture
def place(tmp_path, make_store):
    """Give a place of the test's own."""
    return make_place(tmp_path, make_store)


def plant_round(path, trials, **settings):
    """Write a round's folder as its trials leave it, in the files' own formats.

    Args:
        path: the folder.
        trials: trial -> {arm, values, state, cause, curve, environment}; without a state waiting.
        settings: of the round, beside the least that it needs.
    """
    least = {
        "goal": Goal("Which learning rate?"),
        "base": ["configs/tiny.yaml"],
        "budget": Budget(4),
        "training": Training(30, 10),
        "tracking": Tracking("offline"),
        "nuisance": {"model.optimizer.init_args.lr": Log(1e-4, 1.0)},
    }
    folder = RoundFolder(path)
    (path / "configs").mkdir(parents=True)
    (path / "configs/0-tiny.yaml").write_text(CONFIG)
    folder.trials.mkdir()
    folder.round.write_text(dump_round(Round(**least | settings, name=path.name)))
    rows = []
    for point, (trial, told) in enumerate(trials.items()):
        rows.append(Row(trial, told.get("arm", "all"), point, 0, told["values"]))
        if "state" not in told:
            continue
        attempt = folder.attempt(trial, 1)
        attempt.mkdir(parents=True)
        lines = [f"{10 * n},{value}" for n, value in enumerate(told.get("curve", ()), 1)]
        (attempt / "metrics.csv").write_text("\n".join(["step,val/frame_accuracy", *lines, ""]))
        (attempt / "environment.json").write_text(json.dumps(told.get("environment", {})))
        (attempt / "overrides.yaml").write_text("{}\n")
        (attempt / "config.yaml").write_text("resolved: {corpus: spoken}\n")
        if told["state"] != "interrupted":
            outcome = Outcome(told["state"], told.get("cause"), step=30, seconds=2.5, parameters=99)
            write_outcome(attempt, outcome)
    write_design(folder.design, rows)
    return folder


@pytest.fixture(scope="session")
def plant():
    """Give `plant_round`, for what reads a round's folder and runs nothing."""
    return plant_round
