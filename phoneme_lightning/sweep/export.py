"""A round as one CSV table: what the playbook says to keep of every study, and each trial."""

import csv
import io
import shlex
from collections.abc import Sequence
from typing import Any

from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.records import TrialRecord, read_records
from phoneme_lightning.sweep.repro import repro_command
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_file import read_round

__all__ = ["export_csv"]


def export_csv(folder: RoundFolder) -> str:
    """Write the trials of a round as CSV, ranked first, then the others in the design's order.

    Args:
        folder: of the round.

    Returns:
        A header and a line a trial: the study's name, question, evidence and number of trials; the
        trial, its arm, point, seed, state and cause; the objective's best, best step, final and
        mean of the last few; its hyperparameters by their whole keys; weights, steps, seconds; the
        link to its config; the commit, the uncommitted changes, and the command that repeats it.
    """
    round = read_round(folder.round)
    records = read_records(folder, round.objective, round.retry.attempts)
    order = ranked(records, round.objective)
    places = {record.trial: rank for rank, record in enumerate(order, 1)}
    rest = [record for record in records if record.trial not in places]
    keys = list(dict.fromkeys(key for record in records for key in record.values))
    text = io.StringIO()
    rows = [
        {
            "study": round.name,
            "question": round.goal.question,
            "evidence": round.evidence,
            "trials": len(records),
            "rank": places.get(record.trial),
            **_row(folder, round, record, keys),
        }
        for record in (*order, *rest)
    ]
    writer = csv.DictWriter(text, rows[0] if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(
    folder: RoundFolder, round: Round, record: TrialRecord, keys: Sequence[str]
) -> dict[str, Any]:
    measured, git = record.measured, record.environment.get("git") or {}
    out = folder.path.parent.parent / "repro" / f"{round.name}-{record.trial}"
    diff = record.folder / "git.diff" if record.folder and git.get("dirty") else None
    return {
        "trial": record.trial,
        "arm": record.arm,
        "point": record.point,
        "seed": record.seed,
        "state": record.state,
        "cause": record.cause,
        "stopped early": record.stopped_early,
        "metric": round.objective.metric,
        "best": measured and measured.best,
        "best step": measured and measured.best_step,
        "final": measured and measured.final,
        f"last {round.objective.last}": measured and measured.last,
        **{key: record.values.get(key) for key in keys},
        "parameters": record.parameters,
        "steps": record.step,
        "seconds": record.seconds,
        "config": record.folder and record.folder / "config.yaml",
        "commit": git.get("commit"),
        "uncommitted changes": diff,
        "command": shlex.join(repro_command(folder, record, out)) if record.attempts else None,
    }
