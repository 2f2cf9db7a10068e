"""Write a round's report.html: read what stands in its folder, make the page."""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder, write_atomically
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.looks import read_looks
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.report.page import Extras, page
from phoneme_lightning.sweep.repro import repro_command

__all__ = ["write_report"]


def write_report(folder: RoundFolder, evidence: Evidence, findings: Sequence[Finding]) -> Path:
    """Write report.html into a round's folder.

    Args:
        folder: of the round.
        evidence: what it holds.
        findings: on it.

    Returns:
        The file.
    """
    order = ranked(evidence.trials, evidence.round.objective)
    best = order[0] if order else None
    looks = {look.trial: look.public for look in read_looks(folder)}
    extras = Extras(
        commands=_commands(folder, evidence, best),
        public=looks.get(best.trial) if best else None,
        source=_read(folder.source) or _read(folder.round),
        when=time.strftime("%Y-%m-%d %H:%M %z"),
    )
    path = folder.path / "report.html"
    write_atomically(path, page(evidence, findings, extras))
    return path


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _commands(folder: RoundFolder, evidence: Evidence, best: TrialRecord | None) -> dict[str, str]:
    name = folder.name
    told = {"this page again": f"phoneme-sweep report {name}"}
    if best and best.attempts:
        again = shlex.join(repro_command(folder, best, Path("runs/again") / best.trial))
        threads = evidence.round.budget.threads
        told[f"the best trial again, {best.trial}"] = f"OMP_NUM_THREADS={threads} {again}"
    told["does it repeat"] = f"phoneme-sweep repro {name} best --check"
    if evidence.round.phase == "explore":
        told["is the best one better than the starting config"] = f"phoneme-sweep confirm {name}"
        told["draft the next round"] = f"phoneme-sweep next-round {name}"
    told["the whole leaderboard"] = f"phoneme-sweep export {name} --csv {name}.csv"
    return told
