"""The kernel's kills for want of memory are seen, and no others."""

import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from phoneme_lightning.sweep.attempt import RunningAttempt
from phoneme_lightning.sweep.launch import Job, SubprocessLauncher
from phoneme_lightning.sweep.memory import OomWatch, oom_counter
from phoneme_lightning.training.outcome import read_outcome


@pytest.fixture(autouse=True)
def _programs(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/user/me\n", "user/me/memory.events"),
        ("0::/\n", "memory.events"),
        ("9:cpu:/a\n4:cpuset,memory:/b\n0::/\n", "memory/b/memory.oom_control"),
        ("9:cpu:/a\n0::/c\n", "unified/c/memory.events"),
    ],
    ids=["version 2", "container", "version 1", "both"],
)
def test_the_counter_is_that_of_the_own_cgroup(tmp_path, groups, file):
    own = tmp_path / "cgroup"
    own.write_text(groups)
    assert oom_counter(own, tmp_path / "mounts") == Path("/proc/vmstat")
    counter = tmp_path / "mounts" / file
    counter.parent.mkdir(parents=True)
    counter.write_text("oom 0\noom_kill 0\n")
    assert oom_counter(own, tmp_path / "mounts") == counter


def test_without_cgroups_nothing_counts(tmp_path):
    assert oom_counter(tmp_path / "missing", tmp_path) is None


@pytest.mark.parametrize("format", ["low 0\nhigh 3\noom 1\noom_kill {}\n", "oom_kill {}\n"])
@pytest.mark.parametrize("kills", [2, 3])
def test_a_kill_that_the_kernel_counted_is_want_of_memory(tmp_path, format, kills):
    counter = tmp_path / "memory.events"
    counter.write_text(format.format(2))
    (tmp_path / "metrics.csv").write_text("step,val/loss\n4,1.0\n")
    job = Job(["phoneme-cli", "obey", str(tmp_path / "id")], tmp_path / "output.txt", tmp_path)
    watch = OomWatch(counter)
    handle = SubprocessLauncher("trial_programs").launch(job)
    running = RunningAttempt(tmp_path, {}, handle, watch=watch)
    while not (tmp_path / "id").exists():
        assert running.poll() is None
        time.sleep(0.02)
    counter.write_text(format.format(kills))
    assert running.poll() is None  # the kernel counts before the process is gone
    running.handle.kill()
    running.handle.wait()
    ended = running.poll()
    if kills == 2:
        assert ended.cause == "killed by SIGKILL"
        assert read_outcome(tmp_path) is None
    else:
        assert (ended.outcome.state, ended.outcome.cause) == ("infeasible", "memory")
        assert ended.outcome.step == 4
        assert read_outcome(tmp_path) == ended.outcome


@pytest.fixture
def small_cgroup():
    """Give a cgroup inside this one with 600 MB of memory, where the machine lets us make it."""
    version_1 = Path("/sys/fs/cgroup/memory")
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    groups = {line.split(":")[1]: line.split(":")[2].lstrip("/") for line in lines}
    parent = version_1 / groups["memory"] if "memory" in groups else Path("/sys/fs/cgroup")
    group = parent / f"phoneme-test-{uuid4()}"
    limit = "memory.limit_in_bytes" if "memory" in groups else "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text("600000000")
    except OSError as error:
        if group.exists():
            group.rmdir()
        pytest.skip(f"no cgroup can be made here: {error}")
    yield group
    for _ in range(100):
        try:
            group.rmdir()
            break
        except OSError:
            time.sleep(0.05)


def test_the_kernels_own_kill_is_seen(small_cgroup, tmp_path):
    # The worker must stand in the group, as a worker in a container would.
    worker = f"""
import os, time
from pathlib import Path
Path({str(small_cgroup)!r}, "cgroup.procs").write_text(str(os.getpid()))
from phoneme_lightning.sweep.attempt import RunningAttempt
from phoneme_lightning.sweep.launch import Job, SubprocessLauncher
from phoneme_lightning.sweep.memory import OomWatch, oom_counter
counter = oom_counter()
print(counter)
watch = OomWatch(counter)
folder = Path({str(tmp_path)!r})
job = Job(["phoneme-cli", "eat", "2000"], folder / "output.txt", folder)
handle = SubprocessLauncher("trial_programs").launch(job)
running = RunningAttempt(folder, {{}}, handle, watch=watch)
while (ended := running.poll()) is None:
    time.sleep(0.05)
print(ended.outcome.cause)
"""
    done = subprocess.run(
        [sys.executable, "-c", worker], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    counter, cause = done.stdout.split()
    assert Path(counter).parent == small_cgroup
    assert cause == "memory"
    assert read_outcome(tmp_path).state == "infeasible"
