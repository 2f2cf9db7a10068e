"""What the commands that show a round do."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phoneme_lightning.sweep.folder import RoundFolder, find_round

if TYPE_CHECKING:
    from phoneme_lightning.sweep.findings.evidence import Evidence
    from phoneme_lightning.sweep.findings.finding import Finding

__all__: list[str] = []


def report(round: str, root: Path, wandb: bool) -> None:
    from phoneme_lightning.sweep.findings.diagnose import diagnose, write_findings
    from phoneme_lightning.sweep.findings.evidence import read_evidence
    from phoneme_lightning.sweep.report.write import write_report

    folder = find_round(round, root)
    evidence = read_evidence(folder)
    findings = diagnose(evidence)
    write_findings(folder, findings)
    print(write_report(folder, evidence, findings))
    if wandb:
        _report_to_wandb(folder, evidence, findings)


def _report_to_wandb(
    folder: RoundFolder, evidence: "Evidence", findings: "Sequence[Finding]"
) -> None:
    from phoneme_lightning.sweep.report.publish import publish as build
    from phoneme_lightning.sweep.report.wandb_report import write_wandb_report
    from phoneme_lightning.sweep.report.wandb_round import log_round

    print(write_wandb_report(folder, evidence, findings))
    tracked, name = log_round(folder, evidence, findings), folder.name
    if tracked is None:
        print(f"W&B is disabled: no run of {name} is there for a Report to show")
    elif tracked.name.startswith("offline-run"):
        print(f"publish it later: phoneme-sweep sync {name}, then phoneme-sweep publish {name}")
    else:
        print(build(folder))


def publish(round: str, root: Path, entity: str | None, project: str | None) -> None:
    from phoneme_lightning.sweep.report.publish import publish as build

    print(build(find_round(round, root), entity, project))
