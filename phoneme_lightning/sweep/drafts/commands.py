"""What the commands of drafts do."""

from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.drafts.draft import Draft, write_draft
from phoneme_lightning.sweep.findings.diagnose import diagnose
from phoneme_lightning.sweep.findings.evidence import Evidence, read_evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder, find_round
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.yaml12 import load_yaml

__all__ = ["exploit", "lengthen", "next_round"]


def next_round(
    round: str,
    root: Path,
    name: str | None,
    arm: str | None,
    ask: list[str],
    question: str | None,
    steps: int | None,
) -> int:
    """Draft the round that follows."""
    from phoneme_lightning.sweep.drafts.next_round import draft_next

    folder, evidence, findings = _read(round, root)
    draft = draft_next(
        folder,
        evidence,
        findings,
        name=name,
        arm=arm,
        ask=dict(map(_parse_ask, ask)),
        question=question,
        steps=steps,
    )
    return _write(draft)


def exploit(round: str, root: Path, name: str | None, points: int, sampler: str) -> int:
    """Draft a last round, in the good region."""
    from phoneme_lightning.sweep.drafts.exploit import draft_exploit

    folder, evidence, findings = _read(round, root)
    return _write(
        draft_exploit(folder, evidence, findings, name=name, points=points, sampler=sampler)
    )


def lengthen(round: str, root: Path, name: str | None, to: int, points: int) -> int:
    """Draft a round of few long fits of the best points."""
    from phoneme_lightning.sweep.drafts.longer import draft_longer

    folder, evidence, findings = _read(round, root)
    return _write(draft_longer(folder, evidence, findings, name=name, steps=to, points=points))


def _read(name: str, root: Path) -> tuple[RoundFolder, Evidence, list[Finding]]:
    folder = find_round(name, root)
    evidence = read_evidence(folder)
    return folder, evidence, diagnose(evidence)


def _parse_ask(text: str) -> tuple[str, list[Any]]:
    key, equals, values = text.partition("=")
    parsed = load_yaml(values, f"--ask {key}") if equals else None
    if not key or not isinstance(parsed, list) or len(parsed) < 2:
        raise InputError(
            f"--ask is {text!r}: give KEY=[VALUE, VALUE...], such as "
            "'model.backbone.init_args.dropout=[0, 0.3]'"
        )
    return key, parsed


def _write(draft: Draft) -> int:
    objections = lint(draft.round())
    path = write_draft(draft)
    for objection in objections:
        print(objection)
    print(f"{path}: read it, then\n  phoneme-sweep plan {path}\n  phoneme-sweep run {path}")
    return int(any(one.severity == "error" for one in objections))
