"""One fit on two nodes of a cluster, by the script in the docs: it ends as one, and goes on."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import read_outcome

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs/training.md"
SBATCH = ("sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=1", "fit.sbatch")
TIMINGS = {"train/frames_per_second", "train/wait_share"}


def experiment(store, reached):
    """Give the config of a small fit of three seconds."""
    wait = {"class_path": "mishaps.Wait", "init_args": {"moment": "training", "reached": reached}}
    return {
        "data": {"corpus": str(store.path), "frames_per_batch": 200},
        "model": {
            "backbone": {
                "class_path": "phoneme_lightning.models.Conformer",
                "init_args": {"dim": 32, "num_layers": 2, "feed_forward": 16},
            },
            "warmup_steps": 2,
        },
        "trainer": {
            "accelerator": "cpu",
            "callbacks": [wait],
            "log_every_n_steps": 1,
            "max_steps": 60,
            "precision": "32-true",
            "val_check_interval": 10,
        },
        "run": {"pictures": False},
        "wandb": {"mode": "disabled"},
    }


@pytest.fixture
def folder(tmp_path, make_store, monkeypatch):
    """Give a folder with a config and the script of the docs, to work in."""
    monkeypatch.chdir(tmp_path)
    programs, paths = str(Path(sys.executable).parent), [str(TESTS / "training")]
    monkeypatch.setenv("PATH", os.pathsep.join([programs, os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Where the tasks meet is the name of the first node, which here is no host's name.
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    config = experiment(make_store(tmp_path / "store", utterances=24), str(tmp_path / "reached"))
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/conformer.yaml").write_text(yaml.safe_dump(config))
    [script] = re.findall(r"^```bash\n(#!.*?srun.*?)^```", DOCS.read_text("utf-8"), re.M | re.S)
    (tmp_path / "fit.sbatch").write_text(script.replace(" --gpus-per-node=4", ""))
    return tmp_path


def state(cluster, job):
    told = cluster.run("scontrol", "show", "job", job, "--oneliner")
    return re.search(r"JobState=(\w+)", told)[1]


def rows(run):
    return [
        {name: value for name, value in row.items() if name not in TIMINGS}
        for row in read_metrics(run / "metrics.csv")
    ]


def weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def test_a_fit_on_two_nodes_of_which_a_task_dies_goes_on_and_is_one_machine_s(
    folder, slurm, cluster
):
    words = ["--config", "configs/conformer.yaml", "--run.folder", "runs/plain"]
    plain = subprocess.Popen(["phoneme-cli", "fit", *words, "--trainer.devices", "2"])
    run = folder / "runs/large"
    run.mkdir(parents=True)  # as one that came to no validation has left it
    (run / "config.yaml").touch()
    (run / "metrics.csv").write_text("step,train/loss\n1.0,2.5\n")
    try:
        job = cluster.run(*SBATCH).strip()
        slurm.wait_until((run / "checkpoints/last.ckpt").exists)
        assert cluster.run("squeue", "-h", "-o", "%D %N").split() == ["2", "n[1-2]"]
        [second] = cluster._processes("SLURM_PROCID=1")
        [first] = {*cluster._processes("SLURM_STEP_ID=0")} - {second}
        os.kill(first, signal.SIGSTOP)  # so that it does not notice by itself
        os.kill(second, signal.SIGKILL)
        slurm.wait_until(lambda: state(cluster, job) == "FAILED")
    finally:
        plain.wait(timeout=60)
    assert not cluster._processes(f"SLURM_JOB_ID={job}")
    assert read_outcome(run) is None

    job = cluster.run(*SBATCH).strip()
    slurm.wait_until(lambda: state(cluster, job) not in ("PENDING", "RUNNING", "COMPLETING"))
    assert state(cluster, job) == "COMPLETED", Path(f"slurm-{job}.out").read_text()
    outcome = read_outcome(run)
    assert (outcome.state, outcome.step) == ("completed", 60)
    assert sorted(path.name for path in run.parent.iterdir()) == ["large", "plain"]
    log = (run / "log.txt").read_text()
    assert log.count("2 ranks, cpu") == 2
    assert log.count("resumed after step") == log.count("step 60/60") == 1
    assert rows(run) == rows(run.with_name("plain"))
    theirs = weights(run.with_name("plain"))
    for name, tensor in weights(run).items():
        assert torch.equal(theirs[name], tensor), name
