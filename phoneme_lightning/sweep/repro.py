"""The one command that repeats a trial, and whether it does."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.training.curves import read_metrics

__all__ = ["differences", "print_repro", "repro_command", "run_again"]

OF_THE_CLOCK = {"train/frames_per_second", "train/wait_share"}
"""Columns that no two fits share."""


def repro_command(folder: RoundFolder, record: TrialRecord, out: Path) -> list[str]:
    """Give the command that repeats a trial from its first step.

    Args:
        folder: of the round.
        record: of the trial; it has begun.
        out: folder of the new run.

    Raises:
        InputError: the trial has not begun.
    """
    if not record.attempts:
        raise InputError(f"{record.trial} has not begun: there is nothing to repeat")
    settings = folder.attempts(record.trial)[0] / "overrides.yaml"
    configs = [str(config) for config in (*folder.base_configs(), settings)]
    words = [word for config in configs for word in ("--config", config)]
    return ["phoneme-cli", "fit", *words, "--run.folder", str(out), "--wandb.mode", "disabled"]


def print_repro(round: Round, record: TrialRecord, command: list[str]) -> None:
    """Print the command, and what of the sources has changed since."""
    from phoneme_lightning.training.environment import git_state  # loads torch

    then, now = record.environment.get("git"), git_state()
    if then and (now is None or now.dirty or now.commit != then["commit"]):
        print(f"# trained at git {then['commit']}; here is {now or 'no git checkout'}")
    if then and then["dirty"] and record.folder:
        print(f"# with uncommitted changes: git apply {record.folder / 'git.diff'}")
    print(f"# in {Path.cwd()}")
    print(f"OMP_NUM_THREADS={round.budget.threads} {shlex.join(command)}")


def run_again(round: Round, command: list[str]) -> None:
    """Run the command.

    Raises:
        InputError: it failed.
    """
    threads = str(round.budget.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([str(program), *command[1:]], env=environment, check=False)
    if done.returncode:
        raise InputError(f"the command failed with exit code {done.returncode}")


def differences(first: Path, second: Path) -> list[str]:
    """Compare two runs' metrics.csv, but for what the clock decides.

    Args:
        first: a run's folder.
        second: another's.

    Returns:
        A line for each value that differs; none where the runs are equal.
    """
    tables = [
        {
            (int(row["step"]), name): value
            for row in read_metrics(folder / "metrics.csv")
            for name, value in row.items()
            if name not in OF_THE_CLOCK
        }
        for folder in (first, second)
    ]
    keys = sorted({key for table in tables for key in table})
    return [
        f"step {step}, {name}: {tables[0].get((step, name))} and {tables[1].get((step, name))}"
        for step, name in keys
        if tables[0].get((step, name)) != tables[1].get((step, name))
    ]
