"""What trials take up on the disk."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress

from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.round import Objective

__all__ = ["prune_checkpoints", "shortage"]

KEPT_AN_ARM = 5
UNKNOWN_BYTES = 2**30
OTHER_BYTES = 2**26
"""W&B's files, pictures and logs of a trial."""


def _sizes(folder: RoundFolder) -> Iterator[int]:
    for file in folder.trials.glob("*/attempt-*/checkpoints/*.ckpt"):
        with suppress(FileNotFoundError):  # another driver may be tidying up
            yield file.stat().st_size


def shortage(folder: RoundFolder) -> str:
    """Say so where the disk has no room for a further trial; "" where it has.

    That is four checkpoints, the best, the last, the one being written and one to spare, of the
    size of the largest so far; 1 GiB as long as there is none.
    """
    largest = max(_sizes(folder), default=None)
    needed = UNKNOWN_BYTES if largest is None else 4 * largest + OTHER_BYTES
    free = shutil.disk_usage(folder.path).free
    if free >= needed:
        return ""
    return (
        f"the disk of {folder.path} is nearly full: {free // 2**20} MiB are free, and a trial may "
        f"need {needed // 2**20}"
    )


def prune_checkpoints(
    folder: RoundFolder, records: Sequence[TrialRecord], objective: Objective
) -> None:
    """Delete the checkpoints that nobody will ask for.

    A trial that is completed or infeasible never goes on: its last.ckpt goes, with all that
    earlier attempts left. The best checkpoints stay for the top 5 of each arm.

    Args:
        folder: of the round.
        records: of all its trials.
        objective: what ranks them.
    """
    order = ranked(records, objective)
    arms = {record.arm for record in order}
    of_arms = [[record.folder for record in order if record.arm == arm] for arm in arms]
    best = {path for paths in of_arms for path in paths[:KEPT_AN_ARM]}
    for record in records:
        if record.state not in ("completed", "infeasible"):
            continue
        for attempt in folder.attempts(record.trial):
            for file in (attempt / "checkpoints").glob("*.ckpt"):
                if file.name == "last.ckpt" or attempt not in best:
                    file.unlink(missing_ok=True)
