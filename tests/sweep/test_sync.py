"""What W&B is given of a round: read back from finished runs by W&B's own reader."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from phoneme_lightning.inference.confusion_file import write_confusion
from phoneme_lightning.sweep.conclusion import _learn
from phoneme_lightning.sweep.findings.diagnose import diagnose
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.looks import Look
from phoneme_lightning.sweep.report.answer import answer
from phoneme_lightning.sweep.report.commands import report
from phoneme_lightning.sweep.report.sync import HEADER_BYTES, offline_runs, sync
from phoneme_lightning.sweep.report.wandb_round import log_round, round_id
from phoneme_lightning.sweep.report.write import write_report

WANDB = Path(sys.executable).with_name("wandb")
LR = "model.optimizer.init_args.lr"


def inspect(run, *words):
    """Give what W&B's own reader says of a run."""
    command = [WANDB, "leet", "inspect", "--json", *words, run]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def summary_of(run):
    """Give state, config and summary of a run."""
    return json.loads(inspect(run, "--summary"))


@pytest.fixture
def folder(plant, tmp_path):
    """Give a round with a leader, a trial that diverged, and one that waits."""
    git = {"git": {"commit": "a" * 40, "dirty": False}}
    folder = plant(
        tmp_path / "rounds" / "lr",
        {
            "p0": {"state": "completed", "curve": [0.2, 0.5], "values": {LR: 1e-3}},
            "p1": {"state": "infeasible", "cause": "nan", "values": {LR: 0.5, "x": [1, 2]}},
            "p2": {
                "state": "completed",
                "curve": [0.7, 0.6],
                "values": {LR: 1e-2},
                "environment": git,
            },
            "p3": {"values": {LR: 0.1}},
        },
    )
    write_confusion(folder.attempt("p2", 1), np.eye(41, dtype=int))
    look = Look("p2", 0.61, "", "")
    (folder.path / "looks.jsonl").write_text(json.dumps(vars(look)) + "\n")
    return folder


def written(place):
    """Wait for W&B's own process, which writes the last of a run a moment after `finish`."""
    end = time.monotonic() + 20
    while not any(file.stat().st_size > HEADER_BYTES for file in place.glob("*.wandb")):
        assert time.monotonic() < end, f"{place} stays empty"
        time.sleep(0.01)
    return place


def log(folder):
    evidence = read_evidence(folder)
    place = log_round(folder, evidence, diagnose(evidence))
    return evidence.round, place and written(place)


def test_a_round_ends_with_a_run_of_all_that_it_taught(folder):
    evidence = read_evidence(folder)
    findings = diagnose(evidence)
    page = write_report(folder, evidence, findings)
    known, place = log(folder)
    assert place.parent == folder.path / "wandb"
    told = summary_of(place)
    assert told["state"] == "finished"
    summary = told["summary"]
    assert summary["best/trial"] == "p2"
    assert summary["best/val/frame_accuracy"] == 0.7
    assert summary["best/public"] == 0.61
    assert summary[f"best/{LR}"] == 1e-2
    assert (summary["trials/completed"], summary["trials/waiting"]) == (2, 1)
    assert told["config"]["goal"]["question"] == "Which learning rate?"

    records = map(json.loads, inspect(place).splitlines())
    run = next(record["run"] for record in records if record["type"] == "run")
    assert (run["job_type"], run["run_group"], run["display_name"]) == ("round", "lr", "lr")
    assert (run["run_id"], run["tags"]) == (round_id(known), ["explore"])
    files = place / "files"
    tables = {
        name: json.loads((files / summary[name]["path"]).read_text())
        for name in ("leaderboard", "arms", "findings", "design")
    }
    columns = tables["leaderboard"]["columns"]
    ranks = [row[columns.index("trial")] for row in tables["leaderboard"]["data"]]
    assert ranks == ["p2", "p0", "p1"]
    assert [row[0] for row in tables["design"]["data"]] == ["p0", "p1", "p2", "p3"]
    assert LR in tables["design"]["columns"]
    rows = [
        dict(zip(tables["findings"]["columns"], r, strict=True)) for r in tables["findings"]["data"]
    ]
    assert [(row["rule"], row["sentence"]) for row in rows] == [
        (finding.rule, finding.sentence) for finding in findings
    ]
    assert summary["findings/unknown"] == sum(row["verdict"] == "unknown" for row in rows) > 0
    assert summary["answer"].startswith(answer(evidence, findings).sentence)

    assert (files / summary["report"]["path"]).read_bytes() == page.read_bytes()
    drawn = {
        name.removeprefix("figures/"): (files / summary[name]["path"]).read_text()
        for name in summary
        if name.startswith("figures/")
    }
    assert not [name for name, text in drawn.items() if "bdata" in text or "NaN" in text]
    traces = {name: json.loads(text)["data"] for name, text in drawn.items()}
    [dots] = [trace for trace in traces[f"axis {LR}"] if trace.get("name") == "all"]
    assert sorted(dots["x"]) == [1e-3, 1e-2]
    assert pytest.approx([0.7, 0.6]) in [trace["y"] for trace in traces["curves"]]
    [matrix] = traces["confusion"]
    assert np.shape(matrix["z"]) == (41, 41)


def test_nothing_of_wandb_stops_a_round(folder, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    text = folder.round.read_text()
    folder.round.write_text(text.replace("wandb: offline", "wandb: auto"))
    assert log(folder)[1] is None
    folder.round.write_text(text)
    evidence = read_evidence(folder)
    folder.design.unlink()  # so that the tables cannot be made
    place = log_round(folder, evidence, [])
    assert summary_of(place)["state"] == "finished"


def test_a_round_that_ends_leaves_its_page_and_what_that_meets_costs_it_nothing(folder, capsys):
    _learn(folder, is_tracked=True)
    [place] = folder.path.glob("wandb/offline-run-*")
    assert "report" in summary_of(place)["summary"]
    folder.design.unlink()
    _learn(folder, is_tracked=True)
    assert capsys.readouterr().out.splitlines()[-1].startswith("no report (FileNotFoundError: ")


def test_a_report_for_wandb_says_how_it_is_published_later(folder, capsys):
    report(str(folder.path), folder.path.parent, wandb=True)
    said = capsys.readouterr().out.splitlines()
    # Where a fit has set up logging before, in this process, W&B's logger speaks in between.
    page, described, later = (line for line in said if not line.startswith("Weights & Biases"))
    assert Path(page).is_file()
    assert json.loads(Path(described).read_text())["title"] == "lr: Which learning rate?"
    assert later == "publish it later: phoneme-sweep sync lr, then phoneme-sweep publish lr"
    [place] = folder.path.glob("wandb/offline-run-*")
    assert offline_runs(folder) == [written(place)]


RUN = """
import os, signal, sys, wandb
folder, name, value, end = sys.argv[1:]
quiet = wandb.Settings(silent=True)
run = wandb.init(dir=folder, id=name, mode="offline", project="p", settings=quiet)
run.log({"value": float(value)})
if end == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
run.finish()
"""


def offline(folder, name, value, end="finished"):
    """Make a real offline run in a process of its own; give its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    there = set(folder.glob("wandb/offline-run-*"))
    done = subprocess.run([sys.executable, "-c", RUN, folder, name, str(value), end], timeout=60)
    assert done.returncode == (-signal.SIGKILL if end == "killed" else 0)
    [made] = set(folder.glob("wandb/offline-run-*")) - there
    return made


def test_of_each_trial_the_newest_attempt_that_holds_something_is_uploaded(folder):
    offline(folder.attempt("p0", 1), "lr-p0", 1)
    newest = offline(folder.attempt("p0", 2), "lr-p0", 2)
    whole = offline(folder.attempt("p2", 1), "lr-p2", 3)
    cut = offline(folder.attempt("p2", 2), "lr-p2", 4, "killed")
    assert cut not in offline_runs(folder)
    shutil.copytree(newest, folder.attempt("p1", 1) / "wandb" / newest.name)
    (folder.attempt("p1", 1) / "wandb" / newest.name / "run-lr-p0.wandb.synced").touch()
    assert offline_runs(folder) == [newest, whole]
    first, second = log(folder)[1], log(folder)[1]
    assert first != second
    assert offline_runs(folder) == [newest, whole, max(first, second)]
    assert summary_of(newest)["summary"]["value"] == 2


def test_a_dry_run_says_what_it_would_upload_and_wandb_agrees(folder, capsys):
    run = offline(folder.attempt("p0", 1), "lr-p0", 1)
    assert sync(folder, dry_run=True) == 0
    assert capsys.readouterr().out.splitlines() == [str(run), "lr: 1 runs to upload"]
    done = subprocess.run(
        [WANDB, "sync", "--dry-run", run], capture_output=True, text=True, timeout=60, check=True
    )
    assert "Would sync 1 run" in done.stdout + done.stderr


def test_without_a_key_sync_is_one_line(folder, tmp_path):
    # In a process of its own, since W&B remembers a key; and in a home that holds none.
    offline(folder.attempt("p0", 1), "lr-p0", 1)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    program = f"""
from phoneme_lightning.errors import run_command
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.report.answer import answer
from phoneme_lightning.sweep.report.sync import sync
run_command(lambda: sync(RoundFolder({str(folder.path)!r})))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**bare, "HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: 1 runs of lr wait, but W&B has no API key here: `wandb login`")
