"""A trial's process, forked or plain: what it is given, how it ends, and that it never stays."""

import json
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from phoneme_lightning.sweep.fork import ForkLauncher
from phoneme_lightning.sweep.launch import Job, SubprocessLauncher, make_launcher
from phoneme_lightning.training.curves import read_metrics

HERE = str(Path(__file__).parent)
PROGRAM = "trial_programs"
TIMINGS = {"train/frames_per_second", "train/wait_share"}


def stop_server():
    """Let the next launcher start a fork server of its own, and what multiprocessing adds."""
    multiprocessing.forkserver._forkserver._stop()
    multiprocessing.resource_tracker._resource_tracker._stop()


@pytest.fixture(scope="module", autouse=True)
def _programs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", HERE)
        patch.syspath_prepend(HERE)
        yield


@pytest.fixture(scope="module", params=["fork", "subprocess"])
def launcher(request):
    """Give a launcher of programs that load nothing heavy."""
    os.environ["UNSET_LATER"] = "yes"
    if request.param == "subprocess":
        made = SubprocessLauncher(PROGRAM)
    else:
        stop_server()
        made = ForkLauncher(PROGRAM, preload=[])
        made.launch(Job(["phoneme-cli", "exit", "0"], Path(os.devnull), Path.cwd())).wait()
    del os.environ["UNSET_LATER"]
    yield made
    made.close()
    if request.param == "fork":
        stop_server()


@pytest.fixture
def job(tmp_path):
    """Give a maker of jobs."""

    def make(*words, **more):
        argv = ["phoneme-cli", *map(str, words)]
        return Job(argv, tmp_path / "output.txt", tmp_path, **more)

    return make


def wait_for(condition, seconds=20.0):
    """Wait until a condition holds; give what it gives at last."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def lives(pid):
    """Say whether a process runs; one that nobody has buried yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_process_is_given_what_its_job_says(launcher, job, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SET_AFTER_THE_LAUNCHER_WAS_MADE", "yes")
    (tmp_path / "output.txt").write_text("before\n")
    told = tmp_path / "told.json"
    given = job("tell", told, threads=3, env={"OF_THE_JOB": "too"})
    assert launcher.launch(given).wait(20) == 0
    facts = json.loads(told.read_text())
    environment = facts.pop("environment")
    assert environment["SET_AFTER_THE_LAUNCHER_WAS_MADE"] == "yes"
    assert "UNSET_LATER" not in environment
    assert "SLURM_NTASKS" not in environment  # or Lightning would run the worker's job
    assert environment["OF_THE_JOB"] == "too"
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert facts == {
        "argv": given.argv,
        "cwd": str(tmp_path),
        "leads": True,
        "blocked": [],
        # A shell may have made all that it starts in the background deaf to Ctrl-C.
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "stdin": "/dev/null",
        "loaded": [],
    }
    lines = (tmp_path / "output.txt").read_text().splitlines()
    assert lines[0] == "before"
    assert sorted(lines[1:]) == ["to stderr", "to stdout"]


@pytest.mark.parametrize(
    ("deed", "code"),
    [
        (["exit", 0], 0),
        (["exit", 143], 143),
        (["crash"], 1),
        (["die", int(signal.SIGKILL)], -9),
        (["die", int(signal.SIGSEGV)], -11),
        (["die", int(signal.SIGTERM)], -15),
    ],
)
def test_an_end_is_told(launcher, job, tmp_path, deed, code):
    handle = launcher.launch(job(*deed))
    assert handle.wait(20) == handle.poll() == code
    assert ("ZeroDivisionError: planted" in (tmp_path / "output.txt").read_text()) == (
        deed == ["crash"]
    )


def test_the_deaf_and_the_stopped_are_killed_with_their_children(launcher, job, tmp_path):
    handle = launcher.launch(job("hang", tmp_path / "ids"))
    assert wait_for((tmp_path / "ids").exists)
    pid, child = json.loads((tmp_path / "ids").read_text())
    assert pid == handle.pid
    handle.terminate()
    assert handle.wait(0.3) is None
    assert lives(pid)
    os.kill(pid, signal.SIGSTOP)
    handle.kill()
    assert handle.wait(20) == -signal.SIGKILL
    assert wait_for(lambda: not lives(child))


def test_closing_kills_what_runs(job, tmp_path):
    launcher = make_launcher("subprocess", PROGRAM)
    handle = launcher.launch(job("hang", tmp_path / "ids"))
    launcher.close()
    assert handle.poll() == -signal.SIGKILL


@pytest.mark.parametrize("kind", ["fork", "subprocess"])
def test_nothing_outlives_a_killed_worker(kind, tmp_path):
    # As pip writes a console script: no suffix, and run again in each forked child.
    script = tmp_path / "worker"
    script.write_text(
        "import sys\nfrom trial_programs import work\n"
        "if __name__ == '__main__':\n    sys.exit(work(*sys.argv[1:]))\n"
    )
    done = subprocess.run([sys.executable, str(script), kind, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    third = json.loads((tmp_path / "third.json").read_text())
    pids = [pid for n in range(2) for pid in json.loads((tmp_path / f"{n}.json").read_text())]
    assert len({third, *pids}) == 5
    assert wait_for(lambda: not any(map(lives, [third, *pids])), 5)
    assert (tmp_path / "worked").read_text() == "once\n"
    if (tmp_path / "2.json").exists():
        assert wait_for(lambda: not lives(json.loads((tmp_path / "2.json").read_text())[1]), 5)


def test_a_fork_server_outlives_ctrl_c_and_is_replaced_when_dead(job, tmp_path):
    stop_server()
    launcher = ForkLauncher(PROGRAM, preload=[])
    server = multiprocessing.forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGINT)
    handle = launcher.launch(job("hang", tmp_path / "ids"))
    assert wait_for((tmp_path / "ids").exists)
    assert lives(server)
    os.kill(server, signal.SIGKILL)
    assert wait_for(lambda: handle.poll() is not None)
    handle.kill()  # it does outlive its server
    assert wait_for(lambda: not any(map(lives, json.loads((tmp_path / "ids").read_text()))))
    assert launcher.launch(job("exit", 7)).wait(20) == 7
    assert multiprocessing.forkserver._forkserver._forkserver_pid != server
    for code in range(8):  # launched while it is dying
        os.kill(multiprocessing.forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        assert launcher.launch(job("exit", code)).wait(20) == code
    stop_server()


def fit(store, folder):
    """Give a fit with every source of noise."""
    settings = {
        "data.corpus": store.path,
        "data.frames_per_batch": 120,
        "data.augment.noise": 0.1,
        "model.backbone": "phoneme_lightning.models.RNN",
        "model.backbone.init_args.hidden_size": 8,
        "model.backbone.init_args.dropout": 0.3,
        "trainer.max_steps": 8,
        "trainer.val_check_interval": 4,
        "trainer.log_every_n_steps": 1,
        "trainer.enable_progress_bar": "false",
        "wandb.mode": "disabled",
        "run.folder": folder,
    }
    return ["fit", *(f"--{key}={value}" for key, value in settings.items())]


def result(folder):
    """Give what two fits must share."""
    rows = [
        {name: value for name, value in row.items() if name not in TIMINGS}
        for row in read_metrics(folder / "metrics.csv")
    ]
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    return rows, best["state_dict"]


def test_both_ways_give_equal_fits(tiny_store, job, tmp_path):
    stop_server()
    ways = {"fork": make_launcher("fork"), "subprocess": make_launcher("subprocess")}
    handles = {
        name: way.launch(job(*fit(tiny_store, tmp_path / name))) for name, way in ways.items()
    }
    # A server that has everything loaded hands it on, but neither threads nor seeds.
    forks = ForkLauncher(PROGRAM)
    for name in ("one", "two"):
        assert forks.launch(job("tell", tmp_path / name, "too", threads=3)).wait(60) == 0
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("one", "two"))
    assert one["loaded"] == ["torch", "lightning", "wandb"]
    assert one["threads"] == 3
    assert all(a != b for a, b in zip(one["random"], two["random"], strict=True))

    for name, handle in handles.items():
        assert handle.wait(120) == 0, (name, (tmp_path / "output.txt").read_text())
    (rows, weights), (again_rows, again_weights) = (result(tmp_path / name) for name in ways)
    assert rows
    assert rows == again_rows
    assert all(torch.equal(weights[name], again_weights[name]) for name in weights)
    stop_server()
