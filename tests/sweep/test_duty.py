"""Who looks after a round's workers."""

import errno
import fcntl
import signal
import subprocess
import sys
import time

import pytest

from phoneme_lightning.sweep.duty import Duty
from phoneme_lightning.sweep.liveness import Alive, Watch

HOLD = """
import sys, time
from pathlib import Path
from phoneme_lightning.sweep.duty import Duty
duty = Duty(Path(sys.argv[1]), 0.05, 60)
while True:
    if duty.is_due():
        print("looks", flush=True)
        if not Path("fails").exists():
            duty.looked()
    time.sleep(0.01)
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLD, tmp_path]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "looks\n"
        yield process
        process.kill()


def looks(duty, seconds):
    """Count how often a process looks in some time."""
    until, times = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        times += duty.is_due()
        time.sleep(0.01)
    return times


def test_one_looks_and_another_at_once_when_it_has_died(tmp_path, holder):
    mine = Duty(tmp_path, 0, 60)
    assert not looks(mine, 0.2)
    holder.kill()
    holder.wait()
    assert mine.is_due()
    assert mine.is_due()


@pytest.mark.parametrize("why", ["it is frozen", "its looks fail"])
def test_while_one_looks_in_vain_the_others_look_now_and_then(tmp_path, holder, why):
    mine = Duty(tmp_path, 0, 0.8)
    assert not looks(mine, 1.2)  # it leaves traces
    if why == "it is frozen":
        holder.send_signal(signal.SIGSTOP)
    else:
        (tmp_path / "fails").touch()
    assert 1 <= looks(mine, 1.8) <= 2


def test_who_is_on_duty_looks_at_its_pace(tmp_path):
    assert 2 <= looks(Duty(tmp_path, 0.3, 60), 1) <= 4


def test_on_a_disk_without_locks_all_look_seldom_and_nobody_is_taken_for_dead(
    tmp_path, monkeypatch
):
    # No such disk can be had here.
    def flock(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert 1 <= looks(Duty(tmp_path, 0, 0.4), 1) <= 2
    alive = Alive(tmp_path)
    assert not Watch(tmp_path, 60, 30).is_stale("trial", 0, alive.worker)
