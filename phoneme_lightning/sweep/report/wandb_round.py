"""The W&B run that ends a round: leaderboard and findings as tables, the figures, the page."""

import hashlib
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import yaml

from phoneme_lightning.sweep.design import read_design
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.leaderboard import arm_rows, mixed, ranked, trial_rows
from phoneme_lightning.sweep.looks import read_looks
from phoneme_lightning.sweep.report.answer import answer
from phoneme_lightning.sweep.report.figures.confusion import confusion_figure, confusion_info
from phoneme_lightning.sweep.report.gallery import drawings
from phoneme_lightning.sweep.report.html import plain
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.training.run import say
from phoneme_lightning.training.wandb_logger import WandbSettings, finish_wandb, start_wandb

__all__ = ["log_round", "round_id"]


def round_id(round: Round) -> str:
    """Give the id of a round's own run: the same each time the round ends, also with more points.

    Args:
        round: what it is.
    """
    digest = hashlib.sha256(f"{round.name}\n{round.goal}\n{round.base}".encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', round.name)[:40]}-round-{digest}"


def log_round(folder: RoundFolder, evidence: Evidence, findings: Sequence[Finding]) -> Path | None:
    """Log a round, in a run of job type `round` in the group of its trials; never raise.

    Args:
        folder: of the round; W&B's files go to its wandb folder, and its report.html goes along.
        evidence: what the folder holds.
        findings: on it.

    Returns:
        The folder of the run's files; None where W&B is disabled or does not work.
    """
    round = evidence.round
    settings = WandbSettings(
        mode=round.tracking.wandb,
        project=round.tracking.project,
        group=round.name,
        job_type="round",
        tags=[round.phase] if round.evidence else [round.phase, "not evidence"],
        id=round_id(round),
    )
    config = yaml.safe_load(folder.round.read_text(encoding="utf-8"))
    logger = start_wandb(settings, folder.path, round.name, config)
    if logger is None:
        return None
    run = logger.experiment
    place = Path(run.dir).parent
    try:
        told = _tables(folder, evidence, findings) | _figures(evidence) | _page(folder)
        run.log(told)
        run.summary.update(_summary(folder, evidence, findings))
    except Exception as error:  # whatever W&B meets, it must not cost the round
        say(f"Weights & Biases missed the end of {round.name}: {type(error).__name__}: {error}")
    finish_wandb(logger, {})
    return place


def _tables(folder: RoundFolder, evidence: Evidence, findings: Sequence[Finding]) -> dict[str, Any]:
    objective = evidence.round.objective
    design = [
        {"trial": row.trial, "arm": row.arm, "point": row.point, "seed": row.seed, **row.values}
        for row in read_design(folder.design)
    ]
    rows: dict[str, Sequence[Mapping[str, Any]]] = {
        "leaderboard": trial_rows(evidence.trials, objective),
        "arms": arm_rows(evidence.trials, objective),
        "findings": [finding.as_dict() for finding in findings],
        "design": design,
    }
    return {name: _table(rows[name]) for name in rows if rows[name]}


def _figures(evidence: Evidence) -> dict[str, Any]:
    import wandb

    figures = {name: drawing for name, _, drawing, _ in drawings(evidence)}
    best = ranked(evidence.trials, evidence.round.objective)[:1]
    if best and evidence.confusion is not None:
        figures["confusion"] = confusion_figure(confusion_info(best[0].trial, evidence.confusion))
    return {
        f"figures/{name.replace(':', ' ')}": wandb.Plotly(_for_wandb(figure))
        for name, figure in figures.items()
    }


def _for_wandb(figure: go.Figure) -> go.Figure:
    """Give a figure on white, since W&B has a dark mode and our ink is dark."""
    drawn = go.Figure(_lists(figure.to_dict()))
    return drawn.update_layout(paper_bgcolor="white", plot_bgcolor="white")


def _lists(value: Any) -> Any:
    """Give a figure's arrays as lists: W&B has drawn empty panels of plotly's base64."""
    if isinstance(value, Mapping) and "bdata" in value:
        array = np.frombuffer(b64decode(value["bdata"]), value["dtype"])
        shape = [int(size) for size in value.get("shape", str(array.size)).split(",")]
        return _lists(array.reshape(shape).tolist())
    if isinstance(value, Mapping):
        return {name: _lists(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_lists(inner) for inner in value]
    return None if value != value else value  # JSON has no word for what is no number


def _page(folder: RoundFolder) -> dict[str, Any]:
    import wandb

    path = folder.path / "report.html"
    return {"report": wandb.Html(path, inject=False)} if path.is_file() else {}


def _table(rows: Sequence[Mapping[str, Any]]) -> Any:
    import wandb

    columns: list[str | int] = list(dict.fromkeys(name for row in rows for name in row))
    # A column may hold a number here and a text there, as a list of choices does.
    data = [[_plain(row.get(str(name))) for name in columns] for row in rows]
    return wandb.Table(columns=columns, data=data, allow_mixed_types=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return plain(value)
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _summary(
    folder: RoundFolder, evidence: Evidence, findings: Sequence[Finding]
) -> dict[str, Any]:
    round, records = evidence.round, evidence.trials
    objective, order = round.objective, ranked(records, round.objective)
    told, states = answer(evidence, findings), [record.state for record in records]
    verdicts = [finding.verdict for finding in findings]
    looks = {look.trial: look.public for look in read_looks(folder)}
    summary: dict[str, Any] = {
        "answer": " ".join((told.sentence, *told.details)),
        "evidence": round.evidence,
        "mixed": "; ".join(mixed(records)),
        **{f"trials/{state}": states.count(state) for state in sorted(set(states))},
        **{f"findings/{verdict}": verdicts.count(verdict) for verdict in sorted(set(verdicts))},
    }
    if order and order[0].measured:
        best = order[0]
        summary |= {
            "best/trial": best.trial,
            f"best/{objective.metric}": order[0].measured.by(objective.selection),
            **{f"best/{key}": _plain(value) for key, value in best.values.items()},
        }
        if looks.get(best.trial) is not None:
            summary["best/public"] = looks[best.trial]
    return summary
