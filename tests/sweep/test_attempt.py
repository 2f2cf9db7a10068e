"""An attempt: how its end is told, what it goes on from, what it tells phoneme-cli."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
import wandb
import yaml

from phoneme_lightning.sweep.attempt import RunningAttempt, start_attempt
from phoneme_lightning.sweep.design import read_design
from phoneme_lightning.sweep.fork import ForkLauncher
from phoneme_lightning.sweep.launch import Job, SubprocessLauncher
from phoneme_lightning.sweep.memory import OomWatch
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.round import Tracking, Training
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import Outcome
from phoneme_lightning.training.utterance_file import read_utterances, write_utterances

HERE = str(Path(__file__).parent)
LR = "model.optimizer.init_args.lr"
DECAY = "model.optimizer.init_args.weight_decay"
TIMINGS = {"train/frames_per_second", "train/wait_share"}


@pytest.fixture(autouse=True)
def _programs(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", HERE)


@pytest.fixture
def launcher():
    """Give a launcher of the programs that stand in for phoneme-cli."""
    made = SubprocessLauncher("trial_programs")
    yield made
    made.close()


@pytest.fixture
def begin(launcher, tmp_path):
    """Give a function that starts an attempt with a deed."""

    def start(*deed, **more):
        argv = ["phoneme-cli", *map(str, deed)]
        handle = launcher.launch(Job(argv, tmp_path / "output.txt", tmp_path))
        return RunningAttempt(tmp_path, {"worker": "here:1"}, handle, watch=OomWatch(None), **more)

    return start


def end_of(running, seconds=60.0):
    """Poll until an attempt has ended."""
    deadline = time.monotonic() + seconds
    while (ended := running.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return ended


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        (["die", int(signal.SIGKILL)], "killed by SIGKILL"),
        (["die", int(signal.SIGSEGV)], "killed by SIGSEGV"),
        (["die", int(signal.SIGTERM)], "terminated"),
        (["exit", 143], "terminated"),
        (["exit", 0], "exit code 0 without an outcome; it said nothing"),
        (["say", "error: no space", 2], "exit code 2 without an outcome; it said last: error: no"),
    ],
)
def test_without_an_outcome_it_was_interrupted(begin, tmp_path, deed, cause):
    ended = end_of(begin(*deed))
    assert ended.outcome is None
    assert ended.cause.startswith(cause)
    facts = json.loads((tmp_path / "attempt.json").read_text())
    assert facts["interrupted"] == ended.cause
    assert facts["ended"]
    assert facts["worker"] == "here:1"


def test_however_much_it_printed_its_last_words_are_told(begin, tmp_path):
    with (tmp_path / "output.txt").open("wb") as file:
        file.truncate(1 << 40)  # a sparse terabyte, which nobody can read whole
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    ended = end_of(begin("say", "the last word", 1))
    assert ended.cause.endswith("it said last: the last word")


@pytest.mark.parametrize("code", [0, 1, 143])
def test_an_outcome_outweighs_the_exit_code(begin, tmp_path, code):
    ended = end_of(begin("complete", tmp_path, code))
    assert ended.outcome == Outcome("completed", step=5)
    assert ended.cause is None
    facts = json.loads((tmp_path / "attempt.json").read_text())
    assert facts["interrupted"] is None
    assert facts["exit_code"] == code


@pytest.mark.parametrize("stopped", [False, True], ids=["deaf", "stopped"])
def test_one_that_hangs_is_killed_when_its_time_is_over(begin, tmp_path, stopped):
    running = begin("hang", tmp_path / "ids", limit=1.0, patience=0.5)
    if stopped:
        while not (tmp_path / "ids").exists():
            time.sleep(0.02)
        os.kill(running.handle.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert end_of(running).cause == "timeout"
    assert time.monotonic() - began < 5
    assert json.loads((tmp_path / "attempt.json").read_text())["exit_code"] == -signal.SIGKILL


def test_one_that_obeys_is_not_killed_and_the_first_cause_counts(begin, tmp_path):
    running = begin("obey", tmp_path / "id")
    while not (tmp_path / "id").exists():
        time.sleep(0.02)
    running.stop("stopped")
    running.stop("another")
    assert end_of(running, 20).cause == "stopped"
    assert json.loads((tmp_path / "attempt.json").read_text())["exit_code"] == 143


def test_an_abandoned_one_leaves_no_word(begin, tmp_path):
    running = begin("hang", tmp_path / "ids")
    running.abandon()
    assert running.handle.poll() == -signal.SIGKILL
    assert not (tmp_path / "attempt.json").exists()


def test_a_folder_that_was_deleted_takes_nobody_along(begin, tmp_path):
    running = begin("obey", tmp_path / "id")
    while not (tmp_path / "id").exists():
        time.sleep(0.02)
    shutil.rmtree(tmp_path)
    running.stop("stopped")
    assert end_of(running).cause == "stopped"


@pytest.fixture
def planned(plant, tmp_path, monkeypatch):
    """Give a planned round of three points that has not begun: folder, round, rows."""
    monkeypatch.chdir(tmp_path)
    values = {LR: 0.01, DECAY: 0.1}
    trials = {f"p00{n}-all-s0": {"values": values} for n in range(3)}
    folder = plant(Path("rounds/lr_round"), trials)
    return folder, load_round(folder), read_design(folder.design)


def leave(folder, trial, attempt, *, last=b"", step=1):
    """Leave an attempt as a killed one would: a config, metrics and checkpoints."""
    path = folder.attempt(trial, attempt)
    (path / "checkpoints").mkdir(parents=True)
    (path / "config.yaml").write_text(f"step: {step}\n")
    (path / "metrics.csv").write_text(f"step,val/loss\n{step},1\n")
    write_utterances(path, [("one", step, 0)])
    for name in ("best.ckpt", "last.ckpt"):
        with ZipFile(path / "checkpoints" / name, "w") as archive:
            archive.writestr("data", f"{name} at {step}" * 100)
    if last is not None:
        file = path / "checkpoints/last.ckpt"
        file.write_bytes(last or file.read_bytes())
    return path


def test_what_a_first_attempt_is_given(planned, launcher):
    folder, round, rows = planned
    running = start_attempt(folder, round, rows[0], 1, launcher)
    end_of(running)
    path = Path("rounds/lr_round/trials/p000-all-s0/attempt-1")
    assert running.folder == path
    facts = json.loads((path / "attempt.json").read_text())
    assert facts["argv"] == [
        *("phoneme-cli", "fit", "--config", "rounds/lr_round/configs/0-tiny.yaml"),
        *("--config", str(path / "overrides.yaml")),
    ]
    assert facts["pid"] == running.handle.pid
    told = yaml.safe_load((path / "overrides.yaml").read_text())
    assert told["run"]["folder"] == str(path)
    assert told["run"]["name"] == "p000-all-s0"
    assert told["model"]["optimizer"]["init_args"]["lr"] == 0.01
    section = told["wandb"]
    assert section.pop("id").startswith("lr_round-p000-all-s0-")
    assert section == {
        "mode": "offline",
        "project": "phoneme-lightning",
        "group": "lr_round",
        "job_type": "trial",
        "tags": ["all", "explore"],
        "summary": {"val/frame_accuracy": "max"},
        "config": {
            **{"lr": 0.01, "weight_decay": 0.1, "arm": "all", "point": 0, "seed": 0},
            **{"round": "lr_round", "attempt": 1},
        },
    }
    with pytest.raises(FileExistsError):
        start_attempt(folder, round, rows[0], 1, launcher)


def test_a_kernels_kill_during_the_launch_is_seen(planned, launcher, tmp_path, monkeypatch):
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 2\n")

    class KilledAtOnce:
        def launch(self, job):
            handle = launcher.launch(replace(job, argv=["phoneme-cli", "die", "9"]))
            handle.wait()
            counter.write_text("oom_kill 3\n")
            return handle

    folder, round, rows = planned
    monkeypatch.setattr("phoneme_lightning.sweep.attempt.oom_counter", lambda: counter)
    ended = start_attempt(folder, round, rows[0], 1, KilledAtOnce()).poll()
    assert (ended.outcome.state, ended.outcome.cause) == ("infeasible", "memory")


def test_a_tag_is_no_longer_than_wandb_takes_and_a_demonstration_says_so(planned, launcher):
    from phoneme_lightning.sweep.tracking import wandb_section

    folder, round, rows = planned
    section = wandb_section(
        folder, replace(round, evidence=False), replace(rows[0], arm="a" * 99), 1, {}
    )
    assert section["tags"] == ["a" * 64, "explore", "not evidence"]
    wandb.Settings(run_tags=section["tags"])


def test_the_id_in_wandb_is_that_of_the_setting(planned, launcher):
    folder, round, rows = planned

    def told(row, attempt):
        end_of(start_attempt(folder, round, row, attempt, launcher))
        file = folder.attempt(row.trial, attempt) / "overrides.yaml"
        return yaml.safe_load(file.read_text())["wandb"]

    one, two, other = told(rows[0], 1), told(rows[0], 2), told(rows[1], 1)
    assert one["id"] == two["id"] != other["id"]
    assert two["config"]["attempt"] == 2
    assert len(one["id"]) <= 64
    # a key is cut where its last part tells it apart, and only there
    odd = type(rows[2])(rows[2].trial, "all", 2, 0, {LR: 0.1, "a.lr": 1, "data.seed": 5})
    from phoneme_lightning.sweep.tracking import wandb_section

    config = wandb_section(folder, round, odd, 1, {})["config"]
    assert {LR: 0.1, "a.lr": 1, "data.seed": 5}.items() <= config.items()
    assert config["seed"] == 0


@pytest.mark.parametrize(
    ("second", "goes_on_from"),
    [
        (b"", 2),
        (b"torn", 1),
        (None, 1),
    ],
    ids=["whole", "torn", "flipped"],
)
def test_a_further_attempt_goes_on_from_the_newest_whole_checkpoint(
    planned, launcher, second, goes_on_from
):
    folder, round, rows = planned
    leave(folder, rows[0].trial, 1, step=1)
    newest = leave(folder, rows[0].trial, 2, step=2, last=second)
    last = newest / "checkpoints/last.ckpt"
    if second is None:
        content = bytearray(last.read_bytes())
        content[60] ^= 255
        last.write_bytes(content)
    folder.attempt(rows[0].trial, 3).mkdir()  # it died before it had a checkpoint
    end_of(start_attempt(folder, round, rows[0], 4, launcher))
    path = folder.attempt(rows[0].trial, 4)
    facts = json.loads((path / "attempt.json").read_text())
    assert facts["argv"][2:4] == ["--ckpt_path", str(path / "checkpoints/last.ckpt")]
    assert (path / "config.yaml").read_text() == f"step: {goes_on_from}\n"
    assert read_metrics(path / "metrics.csv")[0]["step"] == goes_on_from
    assert read_utterances(path) == {"one": (goes_on_from, 0)}
    for name in ("best.ckpt", "last.ckpt"):
        with ZipFile(path / "checkpoints" / name) as archive:
            assert archive.read("data").startswith(f"{name} at {goes_on_from}".encode())
    assert last.stat().st_ino != (path / "checkpoints/last.ckpt").stat().st_ino


def test_without_a_whole_checkpoint_it_starts_afresh(planned, launcher):
    folder, round, rows = planned
    leave(folder, rows[0].trial, 1, last=b"PK\x03\x04 torn")
    end_of(start_attempt(folder, round, rows[0], 2, launcher))
    path = folder.attempt(rows[0].trial, 2)
    assert "--ckpt_path" not in json.loads((path / "attempt.json").read_text())["argv"]
    assert not (path / "config.yaml").exists()


def result(folder):
    """Give what two fits must share: all but throughput."""
    rows = [
        {name: value for name, value in row.items() if name not in TIMINGS}
        for row in read_metrics(folder / "metrics.csv")
    ]
    best = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    return rows, best["state_dict"]


def wandb_processes(pid):
    """Give W&B's service processes for a process."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(pid) in words and any("wandb" in word for word in words):
            found.append(words)
    return found


def test_one_that_was_killed_goes_on_to_what_the_quiet_one_reaches(
    plant, make_store, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(HERE)
    make_store(tmp_path / "data/spoken")
    trials = {"p000-all-s0": {"values": {LR: 0.01}}}
    killer = [{"class_path": "plants.Kill", "init_args": {"step": 7}}]
    planted, quiet = (
        plant(tmp_path / name, trials, training=Training(12, 3), **more)
        for name, more in {
            "planted": {"overrides": {"trainer.callbacks": killer}},
            "quiet": {"tracking": Tracking("disabled")},
        }.items()
    )
    plain, forks = SubprocessLauncher(), ForkLauncher()
    (row,) = read_design(quiet.design)
    alone = start_attempt(quiet, load_round(quiet), row, 1, plain)
    round = load_round(planted)
    first = start_attempt(planted, round, row, 1, forks)
    deadline = time.monotonic() + 60
    while not wandb_processes(first.handle.pid):
        assert time.monotonic() < deadline
    assert end_of(first).cause == "killed by SIGKILL"
    deadline = time.monotonic() + 10
    while wandb_processes(first.handle.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    second = start_attempt(planted, round, row, 2, forks)
    for running in (second, alone):
        ended = end_of(running)
        assert ended.outcome, (running.folder / "output.txt").read_text()
        assert (ended.outcome.state, ended.outcome.step) == ("completed", 12)
    assert not wandb_processes(second.handle.pid)
    facts = json.loads((second.folder / "attempt.json").read_text())
    assert facts["argv"][2] == "--ckpt_path"

    (rows, weights), (again_rows, again_weights) = map(result, (alone.folder, second.folder))
    assert len(rows) >= 12
    assert again_rows == rows
    assert all(torch.equal(weights[name], again_weights[name]) for name in weights)
    (log,) = second.folder.glob("wandb/offline-run-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(log)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["config"]["lr"] == 0.01
    assert told["config"]["attempt"] == 2
    command.remove("--summary")
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    (run,) = (record["run"] for record in records if record["type"] == "run")
    assert (run["run_group"], run["job_type"]) == (planted.name, "trial")
    assert run["tags"] == ["all", "explore"]
    # The newest log is whole: it holds what the first attempt logged too.
    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    for name in ("train/loss", "val/loss"):
        steps = [int(item["trainer/global_step"]) for item in history if name in item]
        assert steps == [
            row["step"] for row in read_metrics(second.folder / "metrics.csv") if name in row
        ]
