"""W&B: which mode it runs in, and what a run that is over holds, read back by W&B itself."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import read_outcome
from phoneme_lightning.training.wandb_logger import WandbSettings, _find_mode

FIND = """
import os
from phoneme_lightning.training.wandb_logger import WandbSettings, _find_mode
print(_find_mode(WandbSettings()), flush=True)
os._exit(0)  # W&B would look for its server first, which may take minutes
"""


@pytest.mark.parametrize(("key", "expected"), [(None, "offline"), ("0a" * 20, "online")])
def test_auto_is_online_with_a_key_and_offline_without(tmp_path, monkeypatch, key, expected):
    # In a process of its own, since W&B remembers a key; and in a home that holds none.
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    for name in ("HOME", "USERPROFILE", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nothing leaves this machine
    done = subprocess.run([sys.executable, "-c", FIND], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [expected], done.stderr


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_the_environment_beats_auto_and_a_mode_that_is_said_beats_both(monkeypatch, mode):
    monkeypatch.setenv("WANDB_API_KEY", "0a" * 20)
    monkeypatch.setenv("WANDB_MODE", mode)
    assert _find_mode(WandbSettings()) == mode
    for said in ("online", "offline", "disabled"):
        assert _find_mode(WandbSettings(mode=said)) == said


def logged(folder):
    """Give what the one offline run of a folder holds: its summary, its rows, its record."""
    (log,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    lines = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.splitlines()
    inspect.insert(-2, "--summary")
    whole = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
    return json.loads(whole), [json.loads(line) for line in lines]


def test_a_run_is_filed_by_what_was_said(words, tmp_path, forks):
    said = {"mode": "offline", "id": "p003-s0", "group": "lr_round1", "job_type": "explore"}
    said = {f"wandb.{key}": value for key, value in said.items()}
    said |= {"wandb.config.lr": 0.25, "wandb.config.arm": "cosine"}
    config = tmp_path / "over.yaml"
    config.write_text(
        "wandb:\n  config: {model.optimizer.init_args.lr: 0.25, steps: 8}\n"
        "  summary: {val/loss: min}\n"
    )
    words = words(**said)
    words[1:1] = ["--config", str(config)]
    assert forks.run(words, tmp_path / "said") == 0
    summary, records = logged(tmp_path / "run")
    assert summary["run_id"] == "p003-s0"
    (run,) = (record["run"] for record in records if record["type"] == "run")
    assert (run["run_group"], run["job_type"]) == ("lr_round1", "explore")
    flat = {"lr": 0.25, "arm": "cosine", "model.optimizer.init_args.lr": 0.25, "steps": 8}
    assert summary["config"].items() >= flat.items()
    assert summary["config"]["model"]["warmup_steps"] == 2
    losses = [
        row["val/loss"] for row in read_metrics(tmp_path / "run/metrics.csv") if "val/loss" in row
    ]
    assert summary["summary"]["val/loss"] == {"min": pytest.approx(min(losses))}


@pytest.mark.parametrize("end", ["finished", "infeasible", "terminated"])
def test_a_run_is_closed_however_the_fit_ends(words, tmp_path, forks, mishap, end):
    settings = {"wandb.mode": "offline"}
    if end == "infeasible":
        settings["divergence.loss_above"] = 1.0
    if end == "terminated":
        wait = mishap("Wait", moment="training", reached=str(tmp_path / "reached"))
        settings |= {"trainer.max_steps": 10_000, "trainer.callbacks": wait}
    process = forks.start(words(**settings), tmp_path / "said")
    if end == "terminated":
        while not (tmp_path / "reached").exists():
            os.kill(process, 0)
            time.sleep(0.01)
        os.kill(process, signal.SIGTERM)
    assert forks.wait() == {"finished": 0, "infeasible": 2, "terminated": 143}[end]
    summary, records = logged(tmp_path / "run")
    state = ("finished", 0) if end == "finished" else ("failed", 1)
    assert (summary["state"], summary["exit_code"]) == state
    validated = {
        int(record["history"]["item"]["trainer/global_step"])
        for record in records
        if record["type"] == "history" and "val/loss" in record["history"]["item"]
    }
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert validated == {row["step"] for row in rows if "val/loss" in row}


def test_the_death_of_wandbs_own_process_costs_the_fit_nothing(words, tmp_path, forks, mishap):
    callback = {"trainer.callbacks": mishap("KillWandb")}
    assert forks.run(words(**callback, **{"wandb.mode": "offline"}), tmp_path / "said") == 0
    assert "Weights & Biases logs no more" in (tmp_path / "said").read_text()
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in rows if "val/loss" in row] == [2, 4, 6, 8]
    assert read_outcome(tmp_path / "run").state == "completed"
