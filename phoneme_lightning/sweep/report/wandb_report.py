"""A round as a W&B Report, described in plain words that need no server: wandb_report.json.

`publish` builds the Report from it, now or later, on any machine that has a key.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import ORDER, Finding
from phoneme_lightning.sweep.folder import RoundFolder, write_atomically
from phoneme_lightning.sweep.leaderboard import title, trial_rows
from phoneme_lightning.sweep.report.answer import answer
from phoneme_lightning.sweep.report.figures.axis import axis_info, axis_keys
from phoneme_lightning.sweep.report.figures.style import arm_colours, number
from phoneme_lightning.sweep.report.publish import FILE
from phoneme_lightning.sweep.report.sections import caveat_lines, without_arms_twice
from phoneme_lightning.sweep.report.wandb_round import round_id
from phoneme_lightning.sweep.tracking import config_names, summary_name

__all__ = ["describe", "read_runs", "write_wandb_report"]

SHOWN = 10
"""Trials in the leaderboard; the runs' own table has all."""


def write_wandb_report(
    folder: RoundFolder, evidence: Evidence, findings: Sequence[Finding]
) -> Path:
    """Write wandb_report.json into a round's folder.

    Args:
        folder: of the round.
        evidence: what it holds.
        findings: on it.

    Returns:
        The file.
    """
    told = describe(evidence, findings, read_runs(evidence))
    path = folder.path / FILE
    write_atomically(path, json.dumps(told, indent=2) + "\n")
    return path


def read_runs(evidence: Evidence) -> dict[str, str]:
    """Give the id in W&B of each trial that has begun, as its attempt was told it."""
    runs = {}
    for trial in evidence.trials:
        if trial.folder is not None and (trial.folder / "overrides.yaml").is_file():
            text = (trial.folder / "overrides.yaml").read_text(encoding="utf-8")
            told = yaml.safe_load(text) or {}
            if "id" in (told.get("wandb") or {}):
                runs[trial.trial] = told["wandb"]["id"]
    return runs


def describe(
    evidence: Evidence, findings: Sequence[Finding], runs: Mapping[str, str]
) -> dict[str, Any]:
    """Describe a round's Report.

    Args:
        evidence: the round.
        findings: on it.
        runs: trial -> id of its run in W&B.

    Returns:
        title; project; runset: whose panels show which runs, and in which colours; blocks: from
        the top, each of them a heading, markdown, a table or panels. `run:ID` stands for the
        address of a run, which only W&B knows.
    """
    round, colours = evidence.round, arm_colours(evidence)
    return {
        "title": f"{round.name}: {round.goal.question}",
        "project": round.tracking.project,
        "runset": {
            "name": round.name,
            "group": round.name,
            "job_type": "trial",
            "colours": {
                runs[trial.trial]: colours[trial.arm]
                for trial in evidence.trials
                if trial.trial in runs
            },
            "order": {
                "summary": summary_name(round.objective),
                "ascending": round.objective.mode == "min",
            },
        },
        "blocks": [
            {"kind": "markdown", "text": _answer(evidence, findings)},
            {"kind": "heading", "text": "Leaderboard"},
            _leaderboard(evidence, runs),
            {"kind": "heading", "text": "Findings"},
            {"kind": "markdown", "text": _findings(findings)},
            {"kind": "heading", "text": "Hyperparameters"},
            {"kind": "panels", "panels": list(_hyperparameters(evidence))},
            {"kind": "heading", "text": "Training"},
            {"kind": "panels", "panels": list(_training(evidence))},
            {"kind": "heading", "text": "Caveats"},
            {"kind": "markdown", "text": _list(map(_escape, caveat_lines(evidence)))},
        ],
    }


def _answer(evidence: Evidence, findings: Sequence[Finding]) -> str:
    round, told = evidence.round, answer(evidence, findings)
    own = f"[the round's own run](run:{round_id(round)})"
    return "\n\n".join(
        [
            f"**{_escape(told.sentence)}**",
            *map(_escape, told.details),
            f"The page with every figure, and all of this as tables, is in {own}.",
        ]
    )


def _leaderboard(evidence: Evidence, runs: Mapping[str, str]) -> dict[str, Any]:
    """Give the best trials as a table, with the run that a row links to."""
    rows = without_arms_twice(trial_rows(evidence.trials, evidence.round.objective))[:SHOWN]
    return {
        "kind": "table",
        "title": title(evidence.round),
        "columns": list(rows[0]) if rows else [],
        "rows": [[number(value) for value in row.values()] for row in rows],
        "runs": [runs.get(row["trial"]) for row in rows],
    }


def _findings(findings: Sequence[Finding]) -> str:
    def told(finding: Finding) -> str:
        lines = [f"**{finding.verdict}**: {_escape(finding.sentence)}"]
        if finding.action and finding.verdict in ("block", "warn"):
            lines += ["```", *finding.action.splitlines(), "```"]
        return "\n  ".join(lines)

    ordered = sorted(findings, key=lambda finding: ORDER.index(finding.verdict))
    return _list(map(told, ordered)) or "None was made."


def _hyperparameters(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Give what shows the objective against the hyperparameters; an arm has one colour in all."""
    objective, keys = evidence.round.objective, axis_keys(evidence)
    names = config_names(evidence.round, keys)
    value = {"summary": summary_name(objective)}
    axes = [{"config": names[key], "log": axis_info(evidence, key).scale == "log"} for key in keys]
    yield {
        "kind": "parallel coordinates",
        "title": "All hyperparameters at once",
        "columns": [{"config": "arm", "log": False}, *axes, value],
    }
    for axis in axes:
        yield {
            "kind": "scatter",
            "title": f"{objective.metric} against {axis['config']}",
            "x": axis,
            "y": value,
        }
    yield {"kind": "importance", "metric": value["summary"]}


def _training(evidence: Evidence) -> Iterator[dict[str, Any]]:
    metric = evidence.round.objective.metric
    yield {"kind": "curves", "title": f"{metric}, by arm", "metric": metric, "group": "arm"}
    for one in dict.fromkeys((metric, "train/loss", "val/loss", "train/grad_norm")):
        yield {"kind": "curves", "title": f"{one} of each trial", "metric": one, "group": None}


def _list(lines: Iterator[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _escape(text: str) -> str:
    """Give plain text as markdown that shows it as it is."""
    return re.sub(r"([\\`*<>\[\]|#])", r"\\\1", text)
