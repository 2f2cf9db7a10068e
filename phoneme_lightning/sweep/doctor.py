"""Is a round sound? Its folder against its study, its workers, its disk."""

import json
import os
import shutil
import socket
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.records import OPEN, TrialRecord, read_records
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.storage import STORAGE_ERRORS
from phoneme_lightning.sweep.storage_patient import say_fault

__all__ = ["UNANSWERED", "examine"]

UNANSWERED: tuple[type[Exception], ...] = (*STORAGE_ERRORS, InputError)
"""What a storage raises that is not there."""

LITTLE_DISK_BYTES = 2**30


def examine(folder: RoundFolder, round: Round) -> list[str]:
    """Look for what is wrong with a round.

    Args:
        folder: of the round.
        round: what it is.

    Returns:
        A line a fault, with the way to mend it; none where the round is sound.
    """
    faults = []
    free = shutil.disk_usage(folder.path).free
    if free < LITTLE_DISK_BYTES:
        faults.append(f"only {free / 2**20:.0f} MiB are free on the disk of {folder.path}")
    if not os.access(folder.path, os.W_OK):
        faults.append(f"{folder.path} cannot be written to")
    records = read_records(folder, round.objective, round.retry.attempts)
    try:
        states = Ledger(folder, round).states()
    except UNANSWERED as error:
        return [*faults, f"the storage, {round.storage.url}, does not answer: {say_fault(error)}"]
    rebuild = f"phoneme-sweep doctor {folder.name} --rebuild-study"
    for record in records:
        state = states.get(record.trial)
        if state is None:
            faults.append(f"{record.trial}: the study does not know it: {rebuild}")
        elif state == "running":
            faults += _dead_worker(folder, record)
        elif record.state == "waiting" and state not in ("waiting", "running"):
            faults.append(
                f"{record.trial}: the study calls it {state}, but its folder is gone: "
                f"phoneme-sweep run {folder.path} trains it again"
            )
        elif record.state not in OPEN and state == "waiting":
            faults.append(
                f"{record.trial}: {record.state} in its folder, waiting in the study: "
                f"phoneme-sweep run {folder.path} settles it"
            )
    return faults


def _dead_worker(folder: RoundFolder, record: TrialRecord) -> list[str]:
    attempts = folder.attempts(record.trial)
    if not attempts:
        return []
    try:
        told = json.loads((attempts[-1] / "attempt.json").read_text(encoding="utf-8"))
        host, _, pid = told["worker"].rpartition(":")
    except (OSError, ValueError, KeyError):
        return []
    if host != socket.gethostname() or Path(f"/proc/{pid}").exists() or not Path("/proc").exists():
        return []
    return [
        f"{record.trial}: its worker, process {pid}, is dead: phoneme-sweep run {folder.path} "
        "takes the trial over"
    ]
