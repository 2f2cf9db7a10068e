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

DOCS = Path(__file__).parents[2] / "docs/scaling.md"
PLANTS = Path(__file__).parents[1] / "sweep/plants.py"
SLOW = "{{trainer.callbacks: [{{class_path: plants.Slow, init_args: {{seconds: {}}}}}]}}"
EXECUTOR = "{{kind: slurm, array: {}, time: 10m, options: [{}]}}"


def wait_for(found, seconds=90):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not (seen := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return seen


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


def write(place, name, workers, seconds, *options, points=3):
    """Write a round of slow trials for workers in SLURM."""
    shutil.copy(PLANTS, place.path)
    return place.write(
        name,
        budget=f"{{points: {points}}}",
        overrides=SLOW.format(seconds),
        storage="{beat: 0.5s, grace: 90s}",  # a worker loads for a while before its first beat
        executor=EXECUTOR.format(workers, ", ".join(options)),
    )


def jobs(cluster, state="RUNNING"):
    """Give the node of each worker in that state, by its job."""
    lines = cluster.run("squeue", "-h", "-r", "-t", state, "-o", "%F_%K %N").splitlines()
    return dict([*line.split(), ""][:2] for line in lines)


def begun(folder):
    """List the trials that have come to a validation and have not ended."""
    files = folder.glob("trials/*/attempt-*/metrics.csv")
    return [file for file in files if not file.with_name("outcome.json").exists()]


def test_a_node_dies_and_workers_are_preempted_and_the_table_is_a_quiet_worker_s(place, cluster):
    file = write(place, "busy", 3, 0.3)
    folder = place.rounds / "busy"
    driver = place.start("run", file)
    try:
        wait_for(lambda: len(jobs(cluster)) == 3 and len(begun(folder)) == 3)
        (_, node), (asked, _), (requeued, _) = jobs(cluster).items()
        cluster.kill_node(node)
        cluster.run("scancel", "--batch", "--signal=USR1", asked)
        cluster.run("scontrol", "requeue", requeued)
    finally:
        said, _ = driver.communicate(timeout=200)
    assert driver.returncode == 0, said
    assert "array job" in said
    log = (folder / f"slurm/{asked}.log").read_text()
    assert "preempted" in log
    attempts = [json.loads(file.read_text()) for file in folder.glob("trials/*/*/attempt.json")]
    assert {"preempted", "stopped"} <= {attempt["interrupted"] for attempt in attempts}
    assert not all(attempt["ended"] for attempt in attempts)  # one died with its node
    busy = table(place, "busy")
    assert len(busy) == 6

    place.write("quiet", budget="{points: 3}")  # quick, too: to be slow changes no figure
    place.sweep("run", "sweeps/quiet.yaml", "--parallel", "1")
    assert table(place, "quiet") == busy


def test_two_drivers_submit_once_and_who_cancels_the_workers_can_go_on(place, cluster):
    file = write(place, "twice", 2, 0.5, points=1)
    drivers = [place.start("run", file) for _ in range(2)]
    wait_for((place.rounds / "twice/round.yaml").exists)
    with FileLock(place.rounds / "twice/.slurm.lock"):  # both shall want to submit
        began = [read_until(driver, "no workers in SLURM's queue") for driver in drivers]
        time.sleep(0.5)
    wait_for(lambda: len(jobs(cluster)) == 2)
    assert len({job.split("_")[0] for job in jobs(cluster)}) == 1
    wait_for(lambda: begun(place.rounds / "twice"))
    assert "workers in SLURM's queue: 2 running, on n1" in place.sweep("status", "twice")
    drivers[0].send_signal(signal.SIGINT)
    left, _ = drivers[0].communicate(timeout=60)
    assert "the workers go on, unless you end them" in left
    assert len(jobs(cluster)) == 2
    assert "2 workers are cancelled" in place.sweep("cancel", "twice", "--workers")
    followed, _ = drivers[1].communicate(timeout=60)
    assert "the workers were cancelled; see" in followed
    assert [driver.returncode for driver in drivers] == [1, 1]
    assert sum("array job" in said for said in (*began, left, followed)) == 1
    assert "no workers in SLURM's queue" in place.sweep("status", "twice")
    assert "retry" not in place.sweep("run", file)
    assert len(table(place, "twice")) == 2
    assert not jobs(cluster, "PENDING,RUNNING")


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can hide a folder from a process")
def test_a_node_that_does_not_see_the_round_is_named(place, cluster):
    cluster.kill_node("n4")
    cluster.start_node("n4", without=place.path)
    wait_for(lambda: cluster.node_states()["n4"] == "idle")
    said = place.sweep("run", write(place, "unseen", 1, 0, "--nodelist=n4"), code=1)
    assert f"n4 does not see {place.rounds}/unseen" in said
    assert "no trial has ended" in said


def test_what_sbatch_refuses_is_said_in_a_line_and_the_template_is_the_round_s(place, cluster):
    file = write(place, "refused", 1, 0, "--partition=none", points=1)
    said = place.sweep("run", file, code=2)
    assert "sbatch refuses" in said
    assert "invalid partition" in said
    script = place.rounds / "refused/worker.sbatch"
    script.write_text(script.read_text().replace('exec "$@"', 'echo "mine"; exec "$@"'))
    write(place, "refused", 1, 0, points=1)
    place.sweep("run", file)
    [log] = (place.rounds / "refused/slurm").glob("*.log")
    assert log.read_text().startswith("mine")


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
