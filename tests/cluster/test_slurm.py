"""Rounds whose trials SLURM's workers run, on a cluster of four nodes on this machine."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from phoneme_lightning.sweep import slurm as module

DOCS = Path(__file__).parents[2] / "docs/scaling.md"
PLANTS = Path(__file__).parents[1] / "sweep/plants.py"
AMPLE = 2 << 20  # KiB


def read_until(driver, wanted):
    """Read what a driver prints, up to a line that tells something."""
    said = ""
    while wanted not in said:
        line = driver.stdout.readline()
        assert line, said
        said += line
    return said


def table(place, name):
    """Give what a round found, but for what the clock decides."""
    rows = json.loads(place.sweep("leaderboard", name, "--json"))
    return sorted((row["trial"], row["state"], row["best"], row["final"]) for row in rows)


def write(place, name, slow, points=3, **executor):
    """Write a round for a worker in SLURM.

    Args:
        place: to write it to.
        name: of the round.
        slow: how long its steps take, as `plants.Slow` has it.
        points: an arm; there are two.
        executor: what else that is to be.
    """
    shutil.copy(PLANTS, place.path)
    callback = {"class_path": "plants.Slow", "init_args": slow}
    return place.write(
        name,
        budget=f"{{points: {points}}}",
        overrides=json.dumps({"trainer": {"callbacks": [callback]}}),
        storage="{beat: 0.5s, grace: 90s}",  # a worker loads for a while before its first beat
        executor=json.dumps({"kind": "slurm", "array": 1, "time": "10m", **executor}),
    )


def jobs(cluster, state="RUNNING"):
    """Give the node of each worker in that state, by its job."""
    lines = cluster.run("squeue", "-h", "-r", "-t", state, "-o", "%F_%K %N").splitlines()
    return dict([*line.split(), ""][:2] for line in lines)


def begun(folder):
    """List the trials that have come to a validation and have not ended."""
    files = folder.glob("trials/*/attempt-*/metrics.csv")
    return [file for file in files if not file.with_name("outcome.json").exists()]


def test_a_node_dies_workers_are_preempted_the_database_crashes_and_the_table_is_a_quiet_worker_s(
    place, cluster, quiet, postgres, database
):
    file = write(place, "busy", {"seconds": 0.5, "later": 0}, array=3)
    folder = place.rounds / "busy"
    driver = place.start("run", file, "--storage", "env:PHONEME_STORAGE")
    try:
        place.wait_for(lambda: len(jobs(cluster)) == 3 and len(begun(folder)) == 3)
        (_, node), (asked, _), (requeued, _) = jobs(cluster).items()
        cluster.kill_node(node)
        cluster.run("scancel", "--batch", "--signal=USR1", asked)
        cluster.run("scontrol", "requeue", requeued)
        postgres.stop()
        time.sleep(1)
        postgres.start()
    finally:
        said, _ = driver.communicate(timeout=200)
    assert driver.returncode == 0, said
    log = (folder / f"slurm/{asked}.log").read_text()
    assert "preempted" in log
    attempts = [json.loads(file.read_text()) for file in folder.glob("trials/*/*/attempt.json")]
    assert {"preempted", "stopped"} <= {attempt["interrupted"] for attempt in attempts}
    assert not all(attempt["ended"] for attempt in attempts)  # one died with its node
    assert len(table(place, "busy")) == 6
    assert table(place, "busy") == table(quiet, "quiet")


def test_a_worker_whose_time_is_over_by_slurm_s_clock_goes_on(place, cluster):
    ours = Path(module.__file__).with_name("worker.sbatch").read_text()
    # The least that SLURM gives is a minute. It looks at its clock each half of one, and then
    # warns whose time would be over at the next look.
    (place.path / "short.sbatch").write_text(ours.replace("USR1@120", "USR1@25"))
    slow = {"seconds": 3, "later": 0}  # and so longer than the first turn, whenever it is over
    full = ["--output=/dev/full"]  # who cannot say that he leaves shall come back, too
    file = write(place, "short", slow, 1, array=2, time="1m", template="short.sbatch", options=full)
    said = place.sweep("run", file)
    attempts = {
        file.parent.name: json.loads(file.read_text())["interrupted"]
        for file in (place.rounds / "short").glob("trials/*/*/attempt.json")
    }
    assert attempts == {"attempt-1": "preempted", "attempt-2": None}
    assert "FAILED" not in said
    assert "TIMEOUT" not in said
    assert [state for _, state, *_ in table(place, "short")] == ["completed"] * 2


def test_workers_are_submitted_again_when_all_have_died_and_trials_have_ended(place, cluster):
    lost = ["--no-requeue", "--nodelist=n1"]
    driver = place.start("run", write(place, "died", {"seconds": 0.3}, 1, options=lost))
    read_until(driver, "completed")
    place.wait_for(lambda: begun(place.rounds / "died"))
    cluster.kill_node("n1")
    cluster.run("scontrol", "update", "nodename=n1", "state=down", "reason=dead")  # sooner so
    read_until(driver, "on n1: NODE_FAIL")
    read_until(driver, "SLURM has 1 workers")
    cluster.start_node("n1")
    said, _ = driver.communicate(timeout=100)
    assert driver.returncode == 0, said
    assert [state for _, state, *_ in table(place, "died")] == ["completed"] * 2


def test_the_time_of_a_round_is_over_for_workers_that_begin_later_too(place, cluster):
    file = write(place, "late", {"seconds": 0.3, "later": 0})
    text = (place.path / file).read_text()
    (place.path / file).write_text(text.replace("{points: 3}", "{points: 3, total_time: 9s}"))
    driver = place.start("run", file)
    place.wait_for(lambda: begun(place.rounds / "late"))
    [requeued] = jobs(cluster)
    cluster.run("scontrol", "requeue", requeued)
    said, _ = driver.communicate(timeout=100)
    assert driver.returncode == 1, said
    assert "budget.total_time is over; " in said
    assert "FAILED" not in said
    assert len(list((place.rounds / "late/trials").iterdir())) < 6


def test_workers_that_are_held_are_told_and_slurm_may_be_away(place, cluster):
    file = write(place, "held", {}, 1, array=2, options=["--hold"])
    first = place.start("run", file)
    said = read_until(first, "is held (JobHeldUser): let it go by `scontrol release ")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    driver = place.start("run", file)  # which submits none
    read_until(driver, "is held")
    cluster.stop_controller()
    read_until(driver, "it is asked again")
    cluster.start_controller()
    [job, *_] = re.findall(r"worker (\S+) is held", said)
    cluster.run("scontrol", "release", job)
    said, _ = driver.communicate(timeout=100)
    assert driver.returncode == 0, said
    assert not jobs(cluster, "PENDING,RUNNING")  # nobody waits for a round that is over


def test_workers_that_ask_for_too_much_are_told(place, cluster):
    driver = place.start("run", write(place, "much", {}, 1, options=["--time=1-0"]))
    cluster.run("scontrol", "update", "partitionname=main", "maxtime=30")
    said = read_until(driver, "asks for more than its partition has (PartitionTimeLimit)")
    assert "change executor.partition, time, cpus or gpus" in said
    place.sweep("cancel", "much", "--workers")
    driver.communicate(timeout=60)


@pytest.fixture
def disk(place):
    """Give what sets the room on a disk of the rounds' own, in KiB besides what it holds."""
    if os.geteuid() != 0:
        pytest.skip("root alone can mount a disk")
    path = place.rounds
    path.mkdir(parents=True)

    def leave(room, *options):
        used = sum(file.stat().st_blocks for file in path.rglob("*")) // 2
        options = ",".join([*options, f"size={used + room}k"])
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], check=True)

    leave(AMPLE)
    yield lambda room: leave(room, "remount")
    subprocess.run(["umount", "--lazy", path], check=True)


def test_the_disk_fills_and_the_round_goes_on_once_there_is_room(place, cluster, quiet, disk):
    file = write(place, "full", {"seconds": 0.3}, array=2)
    folder = place.rounds / "full"
    driver = place.start("run", file)
    read_until(driver, "completed")
    disk(20)
    eats = 'while sleep 0.01; do cat /dev/zero >>"$0"; done 2>/dev/null'
    eater = subprocess.Popen(["bash", "-c", eats, folder / "eaten"])
    try:
        read_until(driver, "the disk of runs/rounds/full is full: workers wait for room")
    finally:
        eater.kill()
        eater.wait()
    disk(3000)
    (folder / "eaten").unlink()
    said, _ = driver.communicate(timeout=120)
    assert driver.returncode == 1, said
    last = said.splitlines()[-1]
    assert re.match(
        r"the disk of runs/rounds/full is nearly full: \d+ MiB are free, .*; go on with", last
    )
    assert "nearly full" in place.sweep("run", file, code=1)
    disk(AMPLE)
    place.sweep("run", file)
    assert table(place, "full") == table(quiet, "quiet")
    assert "sound" in place.sweep("doctor", "full")


def test_two_drivers_submit_once_and_who_cancels_the_workers_can_go_on(place, cluster):
    slow = {"seconds": 2, "later": 0}
    said = place.sweep("run", write(place, "twice", slow, 1, partition="none"), code=2)
    assert "sbatch refuses" in said
    assert "invalid partition" in said
    folder = place.rounds / "twice"
    script = folder / "worker.sbatch"  # the round's own from now on
    script.write_text(script.read_text().replace('exec "$@"', 'echo "mine"; exec "$@"'))
    file = write(place, "twice", slow, 1, array=2)
    with FileLock(folder / ".slurm.lock"):  # both shall want to submit
        drivers = [place.start("run", file) for _ in range(2)]
        began = [read_until(driver, "for workers in SLURM") for driver in drivers]
        time.sleep(0.5)
    place.wait_for(lambda: len(jobs(cluster)) == 2)
    assert len({job.split("_")[0] for job in jobs(cluster)}) == 1
    place.wait_for(lambda: begun(folder))
    assert "workers in SLURM's queue: 2 running, on n1" in place.sweep("status", "twice")
    drivers[0].send_signal(signal.SIGINT)
    left, _ = drivers[0].communicate(timeout=60)
    assert "the workers go on, unless you end them" in left
    assert len(jobs(cluster)) == 2
    helper = place.start("run", file, "--executor", "auto")
    read_until(helper, "2 running, on n1 n2; trials run here: ")
    helper.kill()
    assert "2 workers are cancelled" in place.sweep("cancel", "twice", "--workers")
    followed, _ = drivers[1].communicate(timeout=60)
    assert "the workers were cancelled; see" in followed
    assert [driver.returncode for driver in drivers] == [1, 1]
    assert sum("array job" in said for said in (*began, left, followed)) == 1
    assert "no workers in SLURM's queue" in place.sweep("status", "twice")
    assert "retry" not in place.sweep("run", file)
    assert len(table(place, "twice")) == 2
    assert not jobs(cluster, "PENDING,RUNNING")
    assert all(log.read_text().startswith("mine") for log in (folder / "slurm").glob("*.log"))


def test_a_worker_gets_its_partition_and_each_of_its_trials_a_gpu(place, slurm, monkeypatch):
    with slurm.Cluster(2, cpus=2) as cluster:
        for key, value in cluster.environment.items():
            monkeypatch.setenv(key, value)
        file = write(place, "gpus", {"seconds": 0.5}, 1, gpus=2, partition="other")
        driver = place.start("run", file)
        folder = place.rounds / "gpus"
        place.wait_for(lambda: len(begun(folder)) == 2)
        [asked] = cluster.run("squeue", "-h", "-o", "%P %b %C %N").splitlines()
        assert asked == "other gres:gpu:2 2 n2"
        pids = [
            json.loads(file.with_name("attempt.json").read_text())["pid"] for file in begun(folder)
        ]
        told = [Path(f"/proc/{pid}/environ").read_text().split("\0") for pid in pids]
        seen = [[line for line in lines if line.startswith("CUDA_VIS")] for lines in told]
        assert sorted(seen) == [["CUDA_VISIBLE_DEVICES=0"], ["CUDA_VISIBLE_DEVICES=1"]]
        said, _ = driver.communicate(timeout=100)
    assert driver.returncode == 0, said


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can hide a folder from a process")
def test_a_node_that_does_not_see_the_round_is_named(place, cluster):
    cluster.kill_node("n4")
    cluster.start_node("n4", without=place.path)
    place.wait_for(lambda: cluster.node_states()["n4"] == "idle")
    file = write(place, "unseen", {}, options=["--nodelist=n4"])
    said = place.sweep("run", file, code=1)
    assert f"n4 does not see {place.rounds}/unseen" in said
    assert "no trial has ended" in said


def test_a_worker_in_a_copy_of_the_round_is_refused(place):
    copy = place.path / "copy"
    copy.mkdir()
    said = place.sweep("worker", str(copy), "--proof", "slurm/proof", code=2)
    assert "on a disk that every worker shares" in said
    (copy / "slurm").mkdir()
    (copy / "slurm/proof").touch()
    assert "no round" in place.sweep("worker", str(copy), "--proof", "slurm/proof", code=2)


def test_a_corpus_is_made_in_shards_as_the_docs_say(place, cluster, recordings):
    recordings.write_folder(place.path / "recordings")
    script, commands = re.findall(r"^```bash\n(.*?)^```", DOCS.read_text("utf-8"), re.M | re.S)
    (place.path / "prepare.sbatch").write_text(script)
    programs = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([programs, os.environ["PATH"]])}
    whole = "phoneme-data prepare folder recordings --out data/whole"
    for words in (f"export SBATCH_WAIT=1\n{commands}", whole):
        subprocess.run(["bash", "-ec", words], cwd=place.path, env=environment, check=True)
    made, wanted = (place.path / "data" / name for name in ("big", "whole"))
    assert (made / "features.npy").read_bytes() == (wanted / "features.npy").read_bytes()
    assert (made / "labels.npy").read_bytes() == (wanted / "labels.npy").read_bytes()


def test_a_worker_that_has_not_begun_leaves_without_a_fault_when_its_place_is_wanted(tmp_path):
    program = """
import os, pathlib, signal, sys
from phoneme_lightning.sweep.slurm import begin_work
begin_work(pathlib.Path.cwd(), None)
os.kill(os.getpid(), signal.SIGUSR1)
sys.exit("it goes on")
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
