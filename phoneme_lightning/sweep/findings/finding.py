"""A finding: what a round taught about itself, and what to do about it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["FINDING", "ORDER", "Finding", "Verdict", "read_finding"]

FINDING = "finding.json"
"""What a probe leaves in its folder; the many of a round are in findings.json."""

Verdict = Literal["ok", "info", "warn", "block", "unknown"]
"""ok: looked and found nothing; info: know it; warn: the round teaches less than it seems; block:
its answer must not be used yet; unknown: too little data to tell."""

ORDER: tuple[Verdict, ...] = ("block", "warn", "unknown", "info", "ok")
"""Of verdicts, the worst first."""


@dataclass(frozen=True)
class Finding:
    """A verdict of one rule on a round, or on one arm or hyperparameter of it."""

    rule: str
    """Name of the rule, such as `boundary`."""

    verdict: Verdict
    """How bad it is."""

    sentence: str
    """What was found, in words that a newcomer understands."""

    numbers: Mapping[str, Any] = field(default_factory=dict)
    """What the verdict rests on."""

    figure: str | None = None
    """Name of the figure that shows it: axis:<key>, isolation, importance, curves, losses,
    best_step, gradients, parallel, budget or confusion."""

    action: str | None = None
    """A command to run, or what to write into the round file."""

    arm: str | None = None
    """The arm that it is about."""

    key: str | None = None
    """The hyperparameter that it is about."""

    playbook: str = ""
    """Row of the tuning playbook, such as D1."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return asdict(self)


def read_finding(folder: Path) -> Finding | None:
    """Read what a probe found; None where it has found nothing yet.

    Args:
        folder: the probe's.
    """
    try:
        return Finding(**json.loads((folder / FINDING).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
