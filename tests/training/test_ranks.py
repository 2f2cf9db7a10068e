"""One fit on two ranks: what it leaves is what one device leaves, and it ends as one."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import read_outcome
from phoneme_lightning.training.ranks import Ranks, find_ranks

pytestmark = pytest.mark.usefixtures("alone")

TIMINGS = ("train/frames_per_second", "train/wait_share")
TWO = {"trainer.accelerator": "cpu", "trainer.devices": 2, "trainer.strategy": "ddp"}
NOISE = {
    "data.augment.noise": 0.1,
    "data.augment.stretch": 0.1,
    "model.backbone.init_args.dropout": 0.3,
}
NO_NOISE = {
    "data.augment.time_masks": 0,
    "data.augment.coefficient_masks": 0,
    "model.backbone.init_args.dropout": 0.0,
    "trainer.precision": "32-true",
}


def rows(folder):
    """Give what metrics.csv holds but for the timings."""
    return [
        {name: value for name, value in row.items() if name not in TIMINGS}
        for row in read_metrics(folder / "metrics.csv")
    ]


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def files(folder):
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith("wandb/")}


def test_two_ranks_do_and_leave_what_one_does_with_twice_the_frames(
    words, forks, tmp_path, make_store
):
    store = make_store(tmp_path / "store", utterances=24, seed=1)
    validation = store.lengths[store.split("utterance", "validation")].sum()
    assert validation % 2  # what halves it and cuts the rest is seen
    one, two = tmp_path / "one" / "run", tmp_path / "two" / "run"
    settings = {**NO_NOISE, "run.test_after_fit": "true", "wandb.mode": "offline"}
    settings["data.corpus"] = store.path
    settings["run.keep_best"] = 2
    place = {"run.folder": one, "run.root": one.parent}
    PhonemeCLI(words(**settings, **place, **{"data.frames_per_batch": 400}))
    place = {"run.folder": two, "run.root": two.parent}
    assert forks.run(words(**settings, **TWO, **place), tmp_path / "said") == 0

    expected, found = rows(one), rows(two)
    assert [list(row) for row in found] == [list(row) for row in expected]
    for row, quiet in zip(found, expected, strict=True):
        assert row == pytest.approx(quiet, rel=1e-5, abs=1e-6)
    ours = weights(two)
    for name, tensor in weights(one).items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-5, rtol=1e-5, msg=name)

    assert files(two) == files(one)
    assert read_outcome(two).state == "completed"
    assert len(list((two / "wandb").glob("offline-run-*"))) == 1
    for same in ("prediction.csv", "utterances-validation.csv", "confusion-validation.csv"):
        assert (two / same).read_bytes() == (one / same).read_bytes()
    assert len((two.parent / "scores.jsonl").read_text().splitlines()) == 1
    scores = [json.loads((folder / "test.json").read_text()) for folder in (one, two)]
    for of_place in ("time", "run", "checkpoint"):
        assert scores[0].pop(of_place) != scores[1].pop(of_place)
    assert scores[0] == scores[1]

    said = (tmp_path / "said").read_text()
    log = (two / "log.txt").read_text()
    for line in ("run folder:", "step 8/8", "prediction:", "all of this run:"):
        assert said.count(line) == log.count(line) == 1
    assert "2 ranks, cpu" in said
    assert (two / "command.txt").read_text().count("phoneme-cli fit") == 1


def test_a_rank_that_is_killed_ends_the_fit_which_goes_on_as_if_it_had_not(
    words, forks, tmp_path, mishap
):
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    log = tmp_path / "said"
    assert forks.run(words(**NOISE, **TWO, **{"run.folder": quiet}), log) == 0
    kill = mishap("Kill", step=5, rank=1)
    again = words(**NOISE, **TWO, **{"run.folder": killed, "trainer.callbacks": kill})
    assert forks.run(again, log) == 128 + signal.SIGKILL
    line = "rank 1 of the fit's 2 was killed by SIGKILL, so all have ended"
    assert log.read_text().splitlines()[-1] == line
    assert (killed / "log.txt").read_text().count(line) == 1
    assert "Traceback" not in log.read_text()
    assert read_outcome(killed) is None

    last = killed / "checkpoints" / "last.ckpt"
    assert forks.run(["fit", f"--ckpt_path={last}", "--trainer.callbacks=null"], log) == 0
    assert rows(killed) == rows(quiet)
    ours = weights(killed)
    for name, tensor in weights(quiet).items():
        assert torch.equal(ours[name], tensor), name
    assert read_outcome(killed).state == "completed"


def test_a_bug_on_another_rank_is_told_once_and_kept(words, forks, tmp_path, mishap):
    log = tmp_path / "said"
    assert forks.run(words(**TWO, **{"trainer.callbacks": mishap("Crash", rank=1)}), log) == 2
    outcome = read_outcome(tmp_path / "run")
    assert (outcome.state, outcome.step) == ("failed", 3)
    assert outcome.message == "ZeroDivisionError: division by zero"
    line = "error: division by zero (ZeroDivisionError; --debug shows where)"
    assert log.read_text().splitlines()[-1] == line
    assert log.read_text().count("error:") == 1


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(happened):
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("who", "number"), [("the starter", 15), ("rank 0", 15), ("rank 1", 15), ("the starter", 9)]
)
def test_a_signal_to_any_process_ends_all(words, forks, tmp_path, mishap, who, number):
    reached, log = tmp_path / "reached", tmp_path / "said"
    wait = mishap("Wait", moment="training", reached=str(reached))
    endless = {"trainer.max_steps": 10_000, "trainer.callbacks": wait}
    starter = forks.start(words(**TWO, **endless), log)
    wait_until(reached.exists)
    ranks = children(starter)
    assert len(ranks) == 2
    os.kill({"the starter": starter, "rank 0": ranks[0], "rank 1": ranks[1]}[who], number)
    try:
        wait_until(lambda: not Path(f"/proc/{starter}").exists())
    finally:
        with suppress(ProcessLookupError):
            os.kill(starter, signal.SIGKILL)
    assert forks.wait() == (128 + signal.SIGTERM if number == signal.SIGTERM else -number)
    wait_until(lambda: not any(Path(f"/proc/{rank}").exists() for rank in ranks))
    said = log.read_text()
    assert "Traceback" not in said
    if number == signal.SIGTERM:
        assert said.splitlines()[-1] == "ended by SIGTERM"
        assert said.count("SIGTERM") == 1
    assert read_outcome(tmp_path / "run") is None


def test_tasks_that_slurm_has_started_work_together_and_stop_when_the_first_is_asked(
    words, tmp_path
):
    program = "import sys; sys.argv[0] = 'phoneme-cli'; from phoneme_lightning.entry import main"

    folders = [tmp_path / "run", tmp_path / "elsewhere"]  # as if one saw the other's files late
    folders[0].mkdir()
    (folders[0] / "stop").touch()

    def task(number):
        slurm = {
            "SLURM_JOB_ID": "4321",
            "SLURM_JOB_NAME": "fit",
            "SLURM_NTASKS": "2",
            "SLURM_NTASKS_PER_NODE": "2",
            "SLURM_NODEID": "0",
            "SLURM_PROCID": str(number),
            "SLURM_LOCALID": str(number),
            "MASTER_ADDR": "127.0.0.1",
        }
        with (tmp_path / f"said-{number}").open("w") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    f"{program}; main()",
                    *words(run__folder=folders[number], **TWO),
                ],
                env={**os.environ, **slurm},
                stdout=log,
                stderr=log,
            )

    tasks = [task(number) for number in range(2)]
    try:
        assert [process.wait(timeout=60) for process in tasks] == [0, 0]
    finally:
        for process in tasks:
            process.kill()
            process.wait()
    outcome = read_outcome(folders[0])
    assert (outcome.state, outcome.stopped_early, outcome.step) == ("completed", "asked", 2)
    assert (tmp_path / "said-0").read_text().count("step 2/8") == 1
    assert (tmp_path / "said-1").read_text() == ""


def options(**more):
    settings = {"accelerator": "cpu", "devices": 2, "num_nodes": 1, "strategy": "auto", **more}
    return Namespace(**settings)


def test_processes_that_were_started_apart_need_one_folder():
    apart = Ranks(size=4, rank=2, here=2)  # the second of two machines
    with pytest.raises(InputError, match=r"run\.folder is missing: the 4 processes"):
        apart.folder(None)
    assert apart.folder("runs/x") == Path("runs/x")
    assert Ranks(size=4, rank=0, here=2).folder("runs/x") is None  # it makes that
    assert Ranks(size=2, here=2).folder(None) is None


@pytest.mark.parametrize(
    ("given", "env", "said"),
    [
        ({"strategy": "fsdp"}, {}, r"trainer\.strategy is 'fsdp'"),
        ({"devices": "two"}, {}, r"trainer\.devices is two"),
        (
            {},
            {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"},
            r"make 2 processes, but 1 were started",
        ),
    ],
)
def test_what_makes_no_ranks_is_refused_in_one_line(monkeypatch, given, env, said):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=said):
        find_ranks(options(**given))


def test_a_fit_on_one_device_is_alone_whatever_a_cluster_says(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert find_ranks(options(devices=1)) == Ranks()
    assert find_ranks(options(devices="1")).callbacks == []
