"""The journal's lock: freed with its holder, kept from half lines and from another's file."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection

from phoneme_lightning.sweep.journal_lock import JournalLock

HOLDER = """
import sys, time
from pathlib import Path
from phoneme_lightning.sweep.journal_lock import JournalLock
lock = JournalLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "study.journal"
    path.touch()
    return path


def open_storage(journal):
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=JournalLock(journal)))


def test_the_lock_of_a_killed_holder_is_free(journal):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(journal)], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    entered = threading.Event()
    lock = JournalLock(journal)
    waiting = threading.Thread(target=lambda: (lock.acquire(), entered.set()), daemon=True)
    waiting.start()
    assert not entered.wait(0.3)
    killed = time.monotonic()
    holder.send_signal(signal.SIGKILL)
    assert entered.wait(5)
    assert time.monotonic() - killed < 1
    holder.communicate()


def test_threads_take_turns(journal):
    first, second = JournalLock(journal), JournalLock(journal)
    first.acquire()
    entered = threading.Event()
    threading.Thread(target=lambda: (second.acquire(), entered.set()), daemon=True).start()
    assert not entered.wait(0.2)
    first.release()
    assert entered.wait(5)


@pytest.mark.parametrize("torn", [b'{"op_code":', b"x" * 5000])
def test_half_a_line_is_cut_off_before_the_next(journal, torn):
    storage = open_storage(journal)
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "one")
    whole = journal.read_bytes()
    with journal.open("ab") as file:
        file.write(torn)
    trial = storage.create_new_trial(study)
    assert journal.read_bytes().startswith(whole + b'{"op_code":4')
    assert [one._trial_id for one in open_storage(journal).get_all_trials(study)] == [trial]


def test_a_journal_that_is_nothing_but_half_a_line_begins_again(journal):
    journal.write_bytes(b'{"op')
    storage = open_storage(journal)
    storage.create_new_study([StudyDirection.MAXIMIZE], "one")
    assert [study.study_name for study in open_storage(journal).get_all_studies()] == ["one"]


def test_nothing_is_written_where_the_journal_is_gone_or_another(journal):
    storage = open_storage(journal)
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "one")
    aside = journal.with_name("aside")
    journal.rename(aside)
    with pytest.raises(FileNotFoundError, match="--rebuild-study"):
        storage.set_study_user_attr(study, "key", 1)
    assert not journal.exists()

    journal.write_bytes(b"")
    with pytest.raises(OSError, match="replaced"):
        storage.set_study_user_attr(study, "key", 1)
    assert journal.read_bytes() == b""

    os.replace(aside, journal)
    storage.set_study_user_attr(study, "key", 2)
    assert open_storage(journal).get_study_user_attrs(study) == {"key": 2}
