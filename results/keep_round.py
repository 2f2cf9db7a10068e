"""Keep what a round showed: `python results/keep_round.py runs/rounds/NAME`.

Copies the round to results/rounds/NAME without its checkpoints, its study and its logs, and takes
out of it what names a machine; `phoneme-sweep leaderboard results/rounds/NAME` reads the copy. Then
the table of rounds in results/README.md is written anew.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from phoneme_lightning.sweep.findings.diagnose import diagnose, write_findings
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.leaderboard import arm_rows
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.records import TrialRecord, read_records
from phoneme_lightning.sweep.yaml12 import dump_yaml, load_yaml

HERE = Path(__file__).parent
ROUNDS = HERE / "rounds"
TABLE = re.compile(r"(?<=<!-- rounds -->\n\n).*?(?=\n<!-- end of rounds -->)", re.DOTALL)
OF_A_ROUND = (
    *("round.yaml", "source.yaml", "design.csv", "looks.jsonl"),
    *("findings.json", "confirmation.json", "private-looks.jsonl"),
)
OF_AN_ATTEMPT = ("overrides.yaml", "metrics.csv", "outcome.json")
OF_A_LEADER = ("confusion-validation.csv", "utterances-validation.csv")
OF_A_MACHINE = ("host", "worker", "pid")


def keep(source: RoundFolder) -> None:
    """Copy a round."""
    kept = RoundFolder(ROUNDS / source.name)
    shutil.rmtree(kept.path, ignore_errors=True)
    shutil.copytree(source.configs, kept.configs)
    for name in OF_A_ROUND:
        if (source.path / name).is_file():
            shutil.copyfile(source.path / name, kept.path / name)
    if (source.path / "decision.yaml").is_file():
        decision = load_yaml((source.path / "decision.yaml").read_text("utf-8"), "decision.yaml")
        told = {key: value for key, value in decision.items() if key != "who"}
        (kept.path / "decision.yaml").write_text(dump_yaml(told), "utf-8")
    leaders = _leaders(source)
    for attempt in source.trials.glob("*/attempt-*"):
        into = kept.path / attempt.relative_to(source.path)
        into.mkdir(parents=True)
        of_a_leader = OF_A_LEADER if attempt.parent.name in leaders else ()
        for name in (*OF_AN_ATTEMPT, *of_a_leader):
            if (attempt / name).is_file():
                shutil.copyfile(attempt / name, into / name)
        for name in ("attempt.json", "environment.json"):
            if (attempt / name).is_file():
                told = json.loads((attempt / name).read_text(encoding="utf-8"))
                told = {key: value for key, value in told.items() if key not in OF_A_MACHINE}
                (into / name).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    write_findings(kept, diagnose(read_evidence(kept)))  # without what was taken out


def _leaders(source: RoundFolder) -> set[str]:
    """Give the trials that are looked at closely: the best of each arm, all of a confirm round."""
    round = load_round(source)
    records = read_records(source, round.objective, round.retry.attempts)
    if round.phase == "confirm":
        return {record.trial for record in records}
    return {row["trial"] for row in arm_rows(records, round.objective)}


def rows() -> list[str]:
    """Give the table of rounds: a line for the best trial of each arm of each round."""
    lines = ["| round | question | arm | best | trial | completed | infeasible |"]
    lines.append("|---|---|---|---|---|---|---|")
    for file in sorted(ROUNDS.glob("*/round.yaml")):
        folder = RoundFolder(file.parent)
        round = load_round(folder)
        records: list[TrialRecord] = read_records(folder, round.objective, round.retry.attempts)
        for number, row in enumerate(arm_rows(records, round.objective)):
            name = "" if number else f"[{round.name}](rounds/{round.name}/round.yaml)"
            question = "" if number else round.goal.question
            best = row[round.objective.selection]
            cells = (row["arm"], f"{best:.4f}" if best else "", row["trial"] or "")
            counts = (row["completed"], row["infeasible"])
            lines.append(f"| {' | '.join(map(str, (name, question, *cells, *counts)))} |")
    return lines


def write_table() -> None:
    """Write the table of results/README.md anew."""
    page = HERE / "README.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(TABLE.sub("\n".join(rows()) + "\n", text), encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep(RoundFolder(name))
    write_table()
