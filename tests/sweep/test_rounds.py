"""Whole rounds with real processes: run, stopped, killed, changed, extended, repeated."""

import json
import os
import random
import re
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.training.curves import read_metrics

TWO_POINTS = "{points: 2, parallel: 2}"


def table(place, name):
    """Give what a round found, but for what the clock decides."""
    rows = json.loads(place.sweep("leaderboard", name, "--json"))
    return sorted((row["trial"], row["state"], row["best"], row["final"]) for row in rows)


def outcomes(folder):
    """Count the outcomes of each trial over its attempts."""
    return {
        trial.name: len(list(trial.glob("attempt-*/outcome.json")))
        for trial in (folder / "trials").iterdir()
    }


def test_a_round_from_its_file_to_its_leaderboard(place):
    said = place.sweep("run", place.write("tiny"))
    folder = place.rounds / "tiny"
    assert set(outcomes(folder).values()) == {1}
    assert len(outcomes(folder)) == 6
    assert "best public score so far: " in said
    assert (folder / "design.csv").read_text().startswith("trial,arm,point,seed,")

    again = place.sweep("run", "sweeps/tiny.yaml")
    assert "completed," not in again
    assert set(outcomes(folder).values()) == {1}

    assert re.search(r"constant\W+3", place.sweep("status", "tiny"))
    best = json.loads(place.sweep("leaderboard", "tiny", "--json"))[0]
    assert best["rank"] == 1
    said = place.sweep("repro", "tiny", "best", "--check")
    assert f"{best['trial']}: all are equal" in said
    assert "sound" in place.sweep("doctor", "tiny")

    shutil.rmtree(folder / "trials" / best["trial"])
    assert best["trial"] in place.sweep("doctor", "tiny", code=1)
    before = table(place, "tiny")
    place.sweep("run", "sweeps/tiny.yaml")
    assert len(table(place, "tiny")) == len(before) + 1

    told = table(place, "tiny")
    (folder / "study.journal").unlink()
    assert "--rebuild-study" in place.sweep("run", "sweeps/tiny.yaml", code=2)
    place.sweep("doctor", "tiny", "--rebuild-study")
    place.sweep("run", "sweeps/tiny.yaml")
    assert table(place, "tiny") == told
    assert set(outcomes(folder).values()) == {1}


def test_a_round_file_that_has_changed_is_refused(place):
    place.sweep("run", place.write("tiny", budget=TWO_POINTS))
    place.write("tiny", training="{steps: 9, evaluate_every: 3}")
    said = place.sweep("run", "sweeps/tiny.yaml", code=2)
    assert "-  steps: 12" in said
    assert "+  steps: 9" in said
    assert "--fork" in said
    place.sweep("run", "sweeps/tiny.yaml", "--fork")
    assert len(outcomes(place.rounds / "tiny-fork2")) == 6

    place.write("tiny", budget="{points: 3, parallel: 1}")
    place.sweep("run", "sweeps/tiny.yaml")
    assert len(outcomes(place.rounds / "tiny")) == 6


def test_extend_cancel_and_retry(place):
    place.sweep("run", place.write("tiny", budget=TWO_POINTS))
    folder = RoundFolder(place.rounds / "tiny")
    before = folder.design.read_text()
    place.sweep("extend", "tiny", "--points", "3")
    assert folder.design.read_text().startswith(before)
    place.sweep("cancel", "tiny", "p002-cosine-s0")
    place.sweep("run", "sweeps/tiny.yaml")
    assert len(table(place, "tiny")) == 5
    place.sweep("retry", "tiny", "p002-cosine-s0")
    place.sweep("run", "sweeps/tiny.yaml")
    assert len(table(place, "tiny")) == 6
    assert "more" in place.sweep("extend", "tiny", "--points", "3", code=2)

    place.sweep("extend", "tiny", "--points", "4")
    place.sweep("cancel", "tiny", "p003-constant-s0")
    folder.journal.unlink()
    before = folder.round.read_text(), folder.design.read_text()
    assert "is gone from" in place.sweep("extend", "tiny", "--points", "5", code=2)
    assert (folder.round.read_text(), folder.design.read_text()) == before
    assert "is gone from" in place.sweep("retry", "tiny", "p003-constant-s0", code=2)
    assert "is gone from" in place.sweep("cancel", "tiny", "p003-cosine-s0", code=2)
    assert [file.parent.name for file in folder.trials.glob("*/cancelled")] == ["p003-constant-s0"]


@pytest.fixture
def slow(place):
    """Write a round whose steps take a while, and give its file."""
    shutil.copy(Path(__file__).with_name("plants.py"), place.path)
    slow_steps = "{trainer.callbacks: [{class_path: plants.Slow, init_args: {seconds: 0.1}}]}"
    return place.write("slow", budget=TWO_POINTS, overrides=slow_steps)


def test_ctrl_c_once_finishes_what_runs_and_twice_stops_now(place, slow):
    folder = place.rounds / "slow"
    driver = place.start("run", slow)
    place.wait_for(lambda: len(list(folder.glob("trials/*/attempt-1/metrics.csv"))) == 2)
    driver.send_signal(signal.SIGINT)
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 1, said
    assert "once more" in said
    assert sorted(outcomes(folder).values()) == [1, 1]

    driver = place.start("run", slow)
    place.wait_for(lambda: len(list(folder.glob("trials/*/attempt-1/metrics.csv"))) == 4)
    driver.send_signal(signal.SIGINT)
    time.sleep(0.3)
    driver.send_signal(signal.SIGINT)
    said, _ = driver.communicate(timeout=60)
    assert sorted(outcomes(folder).values()) == [0, 0, 1, 1], said
    place.sweep("run", slow)
    assert sorted(outcomes(folder).values()) == [1, 1, 1, 1]


def test_a_driver_that_is_told_to_end_ends_and_concludes_nothing(place, slow):
    folder = place.rounds / "slow"
    driver = place.start("run", slow)
    place.wait_for(lambda: len(list(folder.glob("trials/*/attempt-1/metrics.csv"))) == 2)
    driver.send_signal(signal.SIGTERM)
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 1, said
    assert "stopped; see phoneme-sweep leaderboard" in said
    assert not (folder / "looks.jsonl").exists()
    place.sweep("run", slow)
    assert sorted(outcomes(folder).values()) == [1, 1, 1, 1]


def test_a_running_trial_that_is_cancelled_ends_and_can_be_taken_back(place, slow):
    folder = place.rounds / "slow"
    driver = place.start("run", slow)
    trial = "p000-constant-s0"
    attempt = folder / "trials" / trial / "attempt-1"
    place.wait_for(lambda: (attempt / "checkpoints/last.ckpt").exists())
    running = json.loads((attempt / "attempt.json").read_text())["pid"]
    os.kill(running, signal.SIGSTOP)  # on a crowded machine it would end before it is cancelled
    place.sweep("cancel", "slow", trial)
    with suppress(ProcessLookupError):  # its driver may have killed it by now
        os.kill(running, signal.SIGCONT)
    said, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, said
    assert f"{trial}: it is cancelled; it ends here" in said
    assert outcomes(folder)[trial] == 0
    assert len(table(place, "slow")) == 3
    place.sweep("retry", "slow", trial)
    place.sweep("run", slow)
    assert set(outcomes(folder).values()) == {1}
    facts = json.loads((folder / "trials" / trial / "attempt-2/attempt.json").read_text())
    assert "--ckpt_path" in facts["argv"]


def test_a_folder_that_is_deleted_under_a_running_trial_costs_that_attempt(place, slow):
    folder = place.rounds / "slow"
    driver = place.start("run", slow)
    trial = folder / "trials" / "p000-cosine-s0"
    place.wait_for(lambda: (trial / "attempt-1/metrics.csv").exists())
    shutil.rmtree(trial, ignore_errors=True)
    said, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, said
    assert set(outcomes(folder).values()) == {1}
    assert len(outcomes(folder)) == 4


def test_a_driver_that_was_frozen_gives_up_what_another_took_over(place, slow):
    folder = place.rounds / "slow"
    frozen = place.start("run", slow)
    place.wait_for(lambda: len(list(folder.glob("trials/*/attempt-1/metrics.csv"))) == 2)
    facts = [json.loads(file.read_text()) for file in folder.glob("trials/*/*/attempt.json")]
    trials = [fact["pid"] for fact in facts]
    for process in (frozen.pid, *trials):
        os.kill(process, signal.SIGSTOP)
    said = place.sweep("run", slow)
    assert "its worker is dead" in said
    assert set(state for _, state, *_ in table(place, "slow")) == {"completed"}
    for process in (frozen.pid, *trials):
        os.kill(process, signal.SIGCONT)
    said, _ = frozen.communicate(timeout=60)
    assert frozen.returncode == 0, said
    assert "another worker has taken it over" in said
    assert "sound" in place.sweep("doctor", "slow")


def test_two_drivers_share_a_round(place, slow):
    drivers = [place.start("run", slow) for _ in range(2)]
    said = [driver.communicate(timeout=120)[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], said
    assert sorted(outcomes(place.rounds / "slow").values()) == [1, 1, 1, 1]
    assert all("slow: best" in words for words in said)


def test_a_worker_that_is_started_elsewhere_trains_on_the_same_corpus(place, tmp_path_factory):
    place.sweep("run", place.write("tiny", budget=TWO_POINTS))
    folder = place.rounds / "tiny"
    place.sweep("extend", "tiny", "--points", "3")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    worker = type(place)(elsewhere)
    worker.sweep("worker", str(folder))
    assert not list(elsewhere.iterdir())
    environments = [json.loads(file.read_text()) for file in folder.glob("trials/*/*/envi*.json")]
    assert len(environments) == 6
    assert len({json.dumps(environment["corpus"]) for environment in environments}) == 1
    assert "all are equal" in worker.sweep("repro", str(folder), "best", "--check")
    home = folder / "home.txt"
    assert (folder / home.read_text().strip()).resolve() == place.path
    home.write_text("../gone")
    assert "home.txt" in worker.sweep("worker", str(folder), code=2)


def test_kills_change_nothing(place, slow):
    place.sweep("run", slow)
    quiet = table(place, "slow")
    folder = place.rounds / "slow"
    curves = {
        trial.name: read_metrics(trial / "attempt-1/metrics.csv")
        for trial in (folder / "trials").iterdir()
    }
    folder.rename(place.rounds / "quiet")

    draw = random.Random(0)
    for _ in range(6):
        drivers = [place.start("run", slow) for _ in range(2)]
        time.sleep(draw.uniform(3, 9))
        for driver in drivers:
            driver.kill()
        for driver in drivers:
            driver.communicate()
    said = place.sweep("run", slow)
    assert table(place, "slow") == quiet, said
    assert set(outcomes(folder).values()) == {1}
    for trial, quiet_curve in curves.items():
        last = max(
            (folder / "trials" / trial).glob("attempt-*"), key=lambda path: path.stat().st_mtime
        )
        curve = read_metrics(last / "metrics.csv")
        named = "train/loss", "val/loss", "val/frame_accuracy"
        assert [[row.get(name) for name in named] for row in curve] == [
            [row.get(name) for name in named] for row in quiet_curve
        ]


def test_faults_are_told_apart(place):
    shutil.copy(Path(__file__).with_name("plants.py"), place.path)
    faults = ["Kill", "Term", "Crash", "Memory", "Hang", "Nan"]
    arms = [
        f"    {name}: {{trainer.callbacks: [{{class_path: plants.{name}}}]}}" for name in faults
    ]
    text = place.path / place.write("faults", budget="{points: 1, parallel: 2, trial_time: 8s}")
    lines = text.read_text().replace(
        "  model.schedule: {values: [constant, cosine]}",
        "\n".join(["  fault:", "   values:", "    none: {trainer.callbacks: []}", *arms]),
    )
    lines = lines.replace("divergence: {loss_above: null}", "divergence: {lost_gradients: 3}")
    text.write_text(lines)
    place.sweep("run", "sweeps/faults.yaml", code=1)
    folder = place.rounds / "faults"
    found = {}
    for trial in (folder / "trials").iterdir():
        attempts = sorted(trial.glob("attempt-*"))
        causes = [json.loads((a / "attempt.json").read_text())["interrupted"] for a in attempts]
        outcome = json.loads((attempts[-1] / "outcome.json").read_text())
        found[trial.name.split("-")[1].lower()] = causes, outcome["state"], outcome["cause"]
    assert found == {
        "none": ([None], "completed", None),
        "kill": (["killed by SIGKILL", None], "completed", None),
        "term": (["terminated", None], "completed", None),
        "hang": (["timeout", None], "completed", None),
        "crash": ([None], "failed", None),
        "memory": ([None], "infeasible", "memory"),
        "nan": ([None], "infeasible", "nan"),
    }


# No such disk can be had here.
WITHOUT_LOCKS = """
import errno, fcntl
def flock(file, how):
    raise OSError(errno.ENOSYS, "Function not implemented")
fcntl.flock = flock
"""


def test_a_disk_without_locks_needs_a_database(place):
    (place.path / "sitecustomize.py").write_text(WITHOUT_LOCKS)
    said = place.sweep("run", place.write("unlocked", budget=TWO_POINTS), code=2)
    assert "knows no locks (Function not implemented): mount it with flock, or keep the st" in said
    database = f"sqlite:///{place.path}/study.db"
    place.sweep("run", "sweeps/unlocked.yaml", "--storage", database)
    assert set(outcomes(place.rounds / "unlocked").values()) == {1}


def test_a_storage_that_goes_away_and_comes_back_costs_nothing(place, slow):
    folder = RoundFolder(place.rounds / "slow")
    driver = place.start("run", slow)
    place.wait_for(lambda: len(list(folder.trials.glob("*/attempt-1/metrics.csv"))) == 2)
    folder.journal.rename(place.path / "elsewhere")
    place.wait_for(lambda: len(list(folder.trials.glob("*/attempt-1/outcome.json"))) == 2)
    time.sleep(1)
    (place.path / "elsewhere").rename(folder.journal)
    said, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, said
    assert "the storage does not answer" in said
    assert "the storage answers again" in said
    assert set(outcomes(folder.path).values()) == {1}


def test_fits_that_were_run_one_by_one_become_a_round(place):
    place.sweep("run", place.write("tiny", budget=TWO_POINTS))
    runs = place.path / "single"
    for number, attempt in enumerate(place.rounds.glob("tiny/trials/*/attempt-1")):
        shutil.copytree(attempt, runs / str(number))
    (runs / "0/outcome.json").unlink()
    (runs / "1/outcome.json").unlink()
    (runs / "1/metrics.csv").unlink()
    said = place.sweep("import-runs", "single", "--name", "earlier")
    assert "left out: single/1: its fit did not end" in said
    rows = json.loads(place.sweep("leaderboard", "earlier", "--json"))
    assert len(rows) == 3
    assert {row["schedule"] for row in rows} == {"constant", "cosine"}
    assert "sound" in place.sweep("doctor", "earlier")
    assert "sampler.points has" in place.sweep("extend", "earlier", "--points", "9", code=2)
    assert "all are equal" in place.sweep("repro", "earlier", "best", "--check")


def test_a_database_that_is_not_there_is_said_in_a_line(place):
    file = place.write("tiny", budget=TWO_POINTS, executor="{array: 8}")
    said = place.sweep("run", file, "--storage", "sqlite:///no/such/folder/x.db", code=2)
    assert "the database in storage.url does not answer (unable to open database file)" in said
    assert "Traceback" not in said
    assert not (place.rounds / "tiny").exists()
    said = place.sweep("run", file, "--storage", f"sqlite:///{place.path}/x.db")
    assert "what the round's file says in executor is for SLURM; trials run here" in said
    said = place.sweep("worker", "tiny", "--storage", "journal", code=2)
    assert f"the study of tiny is in sqlite:///{place.path}/x.db, and no journal" in said
