"""The driver: when it ends a round, whatever its trials and its storage do."""

import os
import sqlite3
from pathlib import Path

import pytest

from phoneme_lightning.sweep import driver as driver_module
from phoneme_lightning.sweep import storage
from phoneme_lightning.sweep.design import read_design
from phoneme_lightning.sweep.driver import Driver, View
from phoneme_lightning.sweep.launch import SubprocessLauncher
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.records import read_records
from phoneme_lightning.sweep.round import Retry, Storage

LR = "model.optimizer.init_args.lr"
RAISES = """
import sys, yaml
from phoneme_lightning.training.outcome import record_failure

def main():
    folder = yaml.safe_load(open(sys.argv[-1]))["run"]["folder"]
    with record_failure(folder, dict):
        raise ValueError(folder)
"""


class Ears(View):
    """Keeps what is said."""

    def __init__(self):
        self.heard = ""

    def say(self, message):
        self.heard += message + "\n"


@pytest.fixture
def make(plant, tmp_path, monkeypatch):
    """Give a function that makes a driver of five trials, of whatever program."""
    path = os.pathsep.join([str(Path(__file__).parent), str(tmp_path)])
    monkeypatch.setenv("PYTHONPATH", path)

    def driver(program, view, **settings):
        trials = {f"p00{n}-all-s0": {"values": {LR: 0.01 + n / 1000}} for n in range(5)}
        folder = plant(tmp_path / "round", trials, retry=Retry(1), **settings)
        known = load_round(folder)
        ledger = Ledger(folder, known)
        ledger.enqueue(read_design(folder.design))
        return Driver(folder, known, ledger, SubprocessLauncher(program), 1, view=view)

    return driver


def states(driver):
    return [record.state for record in read_records(driver.folder, driver.round.objective, 1)]


@pytest.mark.parametrize("program", ["raises", "trial_programs"])
def test_three_that_fail_alike_stop_the_round(make, tmp_path, program):
    # The one raises, and its message names the trial; the other leaves without an outcome.
    (tmp_path / "raises.py").write_text(RAISES)
    ears = Ears()
    driver = make(program, ears)
    driver.run()
    assert states(driver) == ["failed"] * 3 + ["waiting"] * 2
    assert "the first 3 trials failed alike" in ears.heard


@pytest.mark.parametrize("for_long", [False, True], ids=["and is told to stop", "for long"])
def test_nobody_holds_his_place_while_the_storage_is_away(make, tmp_path, monkeypatch, for_long):
    monkeypatch.setattr(driver_module, "STORAGE_AWAY_SECONDS", 0.1 if for_long else 1e9)
    monkeypatch.setattr(storage, "BUSY_SECONDS", 0.2)
    database = tmp_path / "study.db"
    holder = sqlite3.connect(database, isolation_level=None)

    class Holder(Ears):
        def show(self, driver):
            if driver.slots and not holder.in_transaction:
                holder.execute("BEGIN IMMEDIATE")
            if "does not answer" in self.heard and not for_long:
                driver.stop("enough")

    ears = Holder()
    driver = make("trial_programs", ears, storage=Storage(f"sqlite:///{database}"))
    driver.run()
    holder.close()
    assert "database is locked" in ears.heard
    assert driver.why_stopped.startswith("the storage stays away" if for_long else "enough")
    assert states(driver) == ["failed", *["waiting"] * 4]
