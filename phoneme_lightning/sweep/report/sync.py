"""Offline W&B runs of a round, uploaded later: of each trial the newest attempt alone."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder

__all__ = ["NO_KEY", "offline_runs", "sync"]

NO_KEY = (
    "W&B has no API key here: `wandb login`, or set WANDB_API_KEY (from https://wandb.ai/authorize)"
)

HEADER_BYTES = 7
"""All that a run holds whose process was killed before its first block was written."""


def offline_runs(folder: RoundFolder) -> list[Path]:
    """Choose what to upload: the round's newest run, and of each trial its newest attempt's.

    Attempts at a trial share one W&B id, and the newest log holds the rows of those before it: to
    upload them all would leave a mixture. A log that its process left empty does not count.

    Args:
        folder: of the round.

    Returns:
        Folders of W&B, as `wandb sync` takes them, without those that it has uploaded.
    """
    trials = sorted(path.name for path in folder.trials.glob("*") if path.is_dir())
    chosen = [_newest(reversed(folder.attempts(trial))) for trial in trials]
    runs = [run for run in (*chosen, _newest([folder.path])) if run]
    return [run for run in runs if not any(run.glob("*.wandb.synced"))]


def _newest(places: Iterable[Path]) -> Path | None:
    """Give the newest log that holds something, of the first of these folders that has one."""
    for place in places:
        # W&B's names begin with the time: offline-run-20261122_180100-<id>.
        for run in sorted(place.glob("wandb/offline-run-*"), reverse=True):
            if any(file.stat().st_size > HEADER_BYTES for file in run.glob("*.wandb")):
                return run
    return None


def sync(folder: RoundFolder, *, dry_run: bool = False) -> int:
    """Upload a round's offline runs by `wandb sync`; those uploaded before are left out.

    Args:
        folder: of the round.
        dry_run: print what would be uploaded, and upload nothing.

    Returns:
        The exit code of `wandb sync`; 0 where there is nothing to upload.

    Raises:
        InputError: there is no API key.
    """
    runs = offline_runs(folder)
    if dry_run or not runs:
        print(*runs, f"{folder.name}: {len(runs)} runs to upload", sep="\n")
        return 0
    import wandb

    if not wandb.login(prompt=False, verify=False):
        raise InputError(f"{len(runs)} runs of {folder.name} wait, but {NO_KEY}")
    command = [sys.executable, "-m", "wandb", "sync", *map(str, runs)]
    return subprocess.run(command, check=False).returncode
