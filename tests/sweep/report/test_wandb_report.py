"""A round's W&B Report: what it is told to be, and what is sent to W&B to make it.

W&B itself is out of reach here. A server of this file's own answers the questions that the real
client asks, and keeps what it was sent.
"""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wandb_workspaces.reports.v2 as reports

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.report.publish import FILE, publish
from phoneme_lightning.sweep.report.wandb_blocks import build
from phoneme_lightning.sweep.report.wandb_report import describe, read_runs
from phoneme_lightning.sweep.round import Conditional, Objective
from phoneme_lightning.sweep.spaces import Log
from phoneme_lightning.sweep.tracking import config_names, summary_name

KEY = "0a1b" * 10
BEST = "val/frame_accuracy.max"


def runs_of(evidence):
    return {trial.trial: f"made-{trial.trial}-01234567" for trial in evidence.trials}


@pytest.fixture
def told(evidence):
    """Give the description of the made round, as it is after a way through its file."""
    findings = [
        Finding("density", "ok", "Enough points."),
        Finding("boundary", "block", "It crowds | at <b>.", action="phoneme-sweep next-round made"),
    ]
    return json.loads(json.dumps(describe(evidence, findings, runs_of(evidence))))


def blocks(told, kind):
    return [block for block in told["blocks"] if block["kind"] == kind]


def test_the_panels_show_every_hyperparameter_under_its_name_in_wandb(told):
    space, training = (block["panels"] for block in blocks(told, "panels"))
    parallel, *scatters, importance = space
    assert parallel["columns"] == [
        {"config": "arm", "log": False},
        {"config": "lr", "log": True},
        {"config": "norm", "log": False},
        {"config": "dropout", "log": False},
        {"summary": BEST},
    ]
    assert [one["x"] for one in scatters] == parallel["columns"][1:-1]
    assert {one["y"]["summary"] for one in scatters} == {BEST} == {importance["metric"]}
    assert {(one["metric"], one["group"]) for one in training} >= {
        ("val/frame_accuracy", "arm"),
        ("val/frame_accuracy", None),
        ("train/loss", None),
    }


def test_the_runs_are_the_rounds_trials_in_the_colours_of_their_arms(evidence, told):
    runset, runs = told["runset"], runs_of(evidence)
    assert (runset["group"], runset["job_type"]) == ("made", "trial")
    colours = {
        arm: {runset["colours"][runs[trial.trial]] for trial in evidence.of(arm)}
        for arm in evidence.arms()
    }
    assert all(len(seen) == 1 for seen in colours.values())
    assert len(set.union(*colours.values())) == 2
    [table] = blocks(told, "table")
    place = table["columns"].index("trial")
    assert table["runs"] == [runs[row[place]] for row in table["rows"]]
    assert table["rows"][0][place] == ranked(evidence.trials, evidence.round.objective)[0].trial


def test_the_answer_comes_first_and_the_worst_finding_next(told):
    answer, findings, caveats = (block["text"] for block in blocks(told, "markdown"))
    assert answer.startswith("**Not to be believed yet: One finding stands in the way.**")
    assert "(run:made-round-" in answer
    lines = findings.splitlines()
    assert lines[0] == r"- **block**: It crowds \| at \<b\>."
    assert lines[2].strip() == "phoneme-sweep next-round made"
    assert lines[-1] == "- **ok**: Enough points."
    assert "- A small net." in caveats


def test_a_hyperparameter_has_one_name_in_all_arms_and_the_objective_the_one_that_ranks(evidence):
    lr, other = "model.optimizer.init_args.lr", "model.head.lr"
    round = evidence.round
    assert config_names(round, [lr])[lr] == "lr"
    own = Conditional({"model.schedule": "cosine"}, nuisance={other: Log(1e-4, 1e-1)})
    assert config_names(replace(round, conditional=[own]), [lr])[lr] == lr
    names = [
        summary_name(Objective("val/loss", "min", selection)) for selection in ("best", "final")
    ]
    assert names == ["val/loss.min", "val/loss.last"]


def test_the_id_of_a_run_is_the_one_that_its_attempt_was_told(plant, tmp_path):
    from phoneme_lightning.sweep.findings.evidence import read_evidence

    lr = "model.optimizer.init_args.lr"
    ends = {"state": "completed", "curve": [0.5], "values": {lr: 0.1}}
    trials = {"p0": ends, "p1": ends, "p2": {"values": {lr: 0.1}}}
    folder = plant(tmp_path / "lr", trials)
    (folder.attempt("p0", 1) / "overrides.yaml").write_text("wandb: {id: lr-p0-0123}\n")
    assert read_runs(read_evidence(folder)) == {"p0": "lr-p0-0123"}  # p1 was never tracked


def test_a_report_is_built_of_all_that_is_described(evidence, told):
    made = build(told, "me", "phonemes", "https://wandb.ai")
    grids = [block for block in made.blocks if isinstance(block, reports.PanelGrid)]
    kinds = [type(panel).__name__ for grid in grids for panel in grid.panels]
    assert kinds[:5] == [
        "ParallelCoordinatesPlot",
        *["ScatterPlot"] * 3,
        "ParameterImportancePlot",
    ]
    assert set(kinds[5:]) == {"LinePlot"}
    for grid in grids:
        places = [(p.layout.x, p.layout.y) for p in grid.panels]
        assert len(set(places)) == len(places)
        assert max(p.layout.x + p.layout.w for p in grid.panels) == 24
        assert len(grid.runsets[0].run_settings) == len(evidence.trials)
    texts = [block.text for block in made.blocks if isinstance(block, reports.MarkdownBlock)]
    home = "https://wandb.ai/me/phonemes/runs/"
    assert f"]({home}made-round-" in texts[0]
    assert f"| [p004-cosine-s0]({home}made-p004-cosine-s0-01234567) | cosine |" in texts[1]


class _Answers(BaseHTTPRequestHandler):
    """What W&B's server answers, as far as the client needs it to save a Report."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body) if self.path == "/graphql" else {"query": ""}
        said = json.dumps({"data": self.answer(asked["query"], asked.get("variables"))}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def answer(self, query, given):
        if "upsertView" in query:
            self.server.views.append(given)
            project = {"id": "x", "name": given["projectName"], "entityName": given["entityName"]}
            kept = {name: given[name] for name in ("name", "displayName", "description", "spec")}
            view = {**kept, "id": given["id"] or "Vmlldzox", "type": "runs", "project": project}
            return {"upsertView": {"view": view, "inserted": given["id"] is None}}
        if "ProjectInternalId" in query:
            there = given["projectName"] == "phoneme-lightning"
            return {"project": {"id": "x", "internalId": "17"} if there else None}
        if "GetProjects" in query:
            mine = {"id": "x", "name": "phoneme-lightning", "entityName": "me", "user": None}
            node = {**mine, "__typename": "Project", "createdAt": "", "isBenchmark": False}
            page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
            return {"models": {"pageInfo": page, "edges": [{"node": node}]}}
        me = {"id": "u", "entity": "me", "username": "me", "email": "", "flags": "{}"}
        return {"viewer": {**me, "teams": {"edges": []}}}


@pytest.fixture
def server():
    """Serve as W&B on this machine; `views` holds the Reports that were saved."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    made.views = []
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def described(told, tmp_path):
    """Give the folder of a round that is described."""
    folder = tmp_path / "rounds" / "made"
    folder.mkdir(parents=True)
    (folder / "round.yaml").touch()
    (folder / FILE).write_text(json.dumps(told))
    return folder


def sweep_publish(folder, *words, code=0, **environment):
    """Run `phoneme-sweep publish` in a home that holds no key; give its output's last line."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    home = str(folder.parent)
    done = subprocess.run(
        [Path(sys.executable).with_name("phoneme-sweep"), "publish", str(folder), *words],
        env={**bare, "HOME": home, "NETRC": f"{home}/netrc", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout if code == 0 else done.stderr
    assert done.returncode == code, done.stderr
    assert KEY not in done.stdout + done.stderr
    return said.splitlines()[-1]


def test_publish_saves_the_report_and_a_second_time_replaces_it(described, told, server):
    here = {"WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "WANDB_API_KEY": KEY}
    address = sweep_publish(described, **here)
    assert address.endswith("--Vmlldzox")
    assert "/me/phoneme-lightning/reports/" in address
    assert sweep_publish(described, **here) == address
    first, second = server.views
    assert (first["id"], second["id"]) == (None, "Vmlldzox")
    assert (first["entityName"], first["projectName"]) == ("me", "phoneme-lightning")
    assert first["displayName"] == told["title"]
    spec = json.loads(first["spec"])
    grid = next(block for block in spec["blocks"] if block["type"] == "panel-grid")["metadata"]
    [runset] = grid["runSets"]
    assert [(one["key"]["name"], one["value"]) for one in runset["filters"]["filters"]] == [
        ("group", "made"),
        ("jobType", "trial"),
    ]
    assert runset["project"]["id"] == "17"
    assert grid["customRunColors"] == told["runset"]["colours"]

    # where the runs never came to, nothing is made
    last = sweep_publish(described, "--project", "elsewhere", code=2, **here)
    assert last.startswith("error: W&B takes no Report for me/elsewhere (")
    assert len(server.views) == 2


def test_without_a_key_publish_is_one_line(described):
    last = sweep_publish(described, code=2)
    assert last.startswith(f"error: {described / FILE} waits, but W&B has no API key here")


def test_what_is_missing_is_said(described, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    monkeypatch.delitem(sys.modules, build.__module__)
    with pytest.raises(InputError, match=r"pip install 'phoneme-lightning\[workspaces\]'"):
        publish(RoundFolder(described))
    (described / FILE).unlink()
    with pytest.raises(InputError, match="write it by `phoneme-sweep report made --wandb`"):
        publish(RoundFolder(described))


def test_a_trial_that_left_no_settings_has_no_run(evidence, tmp_path):
    for name, text in {"one": "wandb: {id: abc}", "two": "wandb: null", "three": ""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "overrides.yaml").write_text(text)
    (tmp_path / "four").mkdir()
    trials = [
        replace(trial, folder=tmp_path / name)
        for trial, name in zip(evidence.trials, ("one", "two", "three", "four"), strict=False)
    ]
    assert read_runs(replace(evidence, trials=trials)) == {trials[0].trial: "abc"}
