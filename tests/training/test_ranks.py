"""One fit on two ranks: what it leaves is what one device leaves, and it ends as one."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from threading import Timer

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
    "model.mixup": 0.4,
    "model.ema_decay": 0.5,
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


def assert_same_fit(found, expected):
    """Compare metrics and weights of two folders, but for rounding."""
    assert [list(row) for row in rows(found)] == [list(row) for row in rows(expected)]
    for row, quiet in zip(rows(found), rows(expected), strict=True):
        assert row == pytest.approx(quiet, rel=1e-5, abs=3e-6)
    ours = weights(found)
    for name, tensor in weights(expected).items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-5, rtol=1e-5, msg=name)


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

    assert_same_fit(two, one)
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


class Pair:
    """Two ranks that do one command after the other: to load takes longer than to fit."""

    program = """
import json, sys
from phoneme_lightning.cli import PhonemeCLI
for line in sys.stdin:
    sys.argv = ["phoneme-cli"]
    PhonemeCLI(json.loads(line))
    print("\\ndone", flush=True)
"""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.ranks = [self._start(rank, port) for rank in range(2)]

    def _start(self, rank, port):
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
        return subprocess.Popen(
            [sys.executable, "-c", self.program],
            env={**os.environ, **place, "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, words):
        for rank in self.ranks:
            rank.stdin.write(json.dumps(list(map(str, words))) + "\n")
            rank.stdin.flush()

    def wait(self):
        timer = Timer(60, self.close)  # ranks that take other steps wait for one another for ever
        timer.start()
        try:
            assert all("done\n" in iter(rank.stdout.readline, "") for rank in self.ranks)
        finally:
            timer.cancel()

    def close(self):
        for rank in self.ranks:
            rank.kill()


@pytest.fixture(scope="module")
def pair():
    pair = Pair()
    yield pair
    pair.close()
    for rank in pair.ranks:
        rank.communicate()


# SGD, since Adam makes whole steps of what is a gradient of zero but for rounding.
PLAIN = {**NO_NOISE, "model.optimizer": "torch.optim.SGD", "model.optimizer.init_args.lr": 0.1}
SMALL_LAYERS = {"dim": 32, "num_layers": 2, "num_heads": 2, "feed_forward": 16}
NETS = {
    "RNN": ({"hidden_size": 8}, {"model.ctc_weight": 0.5}),
    "CRNN": ({"hidden_size": 8, "width": 4, "blocks": [1] * 4}, {"model.ema_decay": 0.5}),
    "CNN": ({"dim": 8, "num_blocks": 2}, {"model.label_smoothing": 0.1}),
    "Transformer": (SMALL_LAYERS, {"model.neighbour_weight": 0.5}),
    "Conformer": ({**SMALL_LAYERS, "kernel_size": 5}, {"data.train_share": 0.6}),
}


@pytest.mark.parametrize("net", NETS)
def test_two_ranks_fit_every_net_and_loss_as_one_does(words, pair, tmp_path, make_store, net):
    sizes, lever = NETS[net]
    store = make_store(tmp_path / "store", utterances=24, seed=1)
    settings = {**PLAIN, **lever, "data.corpus": store.path, "run.pictures": "false"}
    settings["model.backbone.init_args.hidden_size"] = None
    settings["model.backbone"] = f"phoneme_lightning.models.{net}"
    settings |= {f"model.backbone.init_args.{name}": size for name, size in sizes.items()}
    one, two = tmp_path / "one", tmp_path / "two"
    pair.begin(words(**settings, **TWO, run__folder=two))
    PhonemeCLI(words(**settings, run__folder=one, **{"data.frames_per_batch": 400}))
    pair.wait()
    assert_same_fit(two, one)


def test_two_ranks_score_and_predict_as_one_does(words, pair, tmp_path, make_store):
    store = make_store(tmp_path / "store", utterances=24, labelled_test=False)
    manifest = store.path / "manifest.json"
    merged = dict.fromkeys(store.phones[:20], store.phones[0])
    manifest.write_text(json.dumps({**store.manifest, "scored_as": merged}))
    one, two = tmp_path / "one", tmp_path / "two"
    PhonemeCLI(words(**{"data.corpus": store.path, "run.folder": one}))
    shutil.copytree(one, two)
    test = ["test", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    pair.begin([*test, "--trainer.devices=2", f"--ckpt_path={two}/checkpoints/best.ckpt"])
    PhonemeCLI([*test, f"--ckpt_path={one}/checkpoints/best.ckpt"])
    pair.wait()
    scores = [json.loads((folder / "validation.json").read_text()) for folder in (one, two)]
    for score in scores:
        del score["checkpoint"], score["precision"]
    assert scores[1] == pytest.approx(scores[0], rel=1e-6)
    assert len(scores[0]) > 3
    for same in ("prediction.csv", "confusion-validation.csv"):
        assert (two / same).read_bytes() == (one / same).read_bytes()


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


MAIN = "import sys; sys.argv[0] = 'phoneme-cli'; from phoneme_lightning.entry import main; main()"


def test_tasks_that_slurm_has_started_work_together_and_stop_when_the_first_is_asked(
    words, tmp_path
):
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
                [sys.executable, "-c", MAIN, *words(run__folder=folders[number], **TWO)],
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
        ({"devices": 0}, {}, r"trainer\.devices is 0, .*: give how many there are"),
        ({"devices": "0,1"}, {}, r"trainer\.devices is 0,1, .*should be an int"),
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


def test_a_fit_on_one_device_in_a_job_of_many_tasks_is_a_fit_on_one_device(words, tmp_path):
    job = {"SLURM_JOB_ID": "4321", "SLURM_JOB_NAME": "fit", "SLURM_NTASKS": "4"}
    command = [sys.executable, "-c", MAIN, *words(**{"trainer.accelerator": "cpu"})]
    done = subprocess.run(command, env={**os.environ, **job}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_outcome(tmp_path / "run").state == "completed"


def test_a_fit_on_one_device_is_alone_whatever_a_cluster_says(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert find_ranks(options(devices=1)) == Ranks()
    assert find_ranks(options(devices="1")).callbacks == []
