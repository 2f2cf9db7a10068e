"""All rules on a round."""

import errno
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phoneme_lightning.sweep.findings.boundary import boundary
from phoneme_lightning.sweep.findings.caveats import caveats
from phoneme_lightning.sweep.findings.density import density
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import ORDER, Finding
from phoneme_lightning.sweep.findings.gradients import gradients
from phoneme_lightning.sweep.findings.importance import importance
from phoneme_lightning.sweep.findings.infeasible import infeasible
from phoneme_lightning.sweep.findings.instability import edge, spikes
from phoneme_lightning.sweep.findings.isolation import fairness, isolation
from phoneme_lightning.sweep.findings.late_noise import late_noise
from phoneme_lightning.sweep.findings.length import length
from phoneme_lightning.sweep.findings.mixed import mixture
from phoneme_lightning.sweep.findings.overfitting import overfitting
from phoneme_lightning.sweep.findings.periodic import periodic
from phoneme_lightning.sweep.findings.phones import phones
from phoneme_lightning.sweep.findings.robustness import robustness
from phoneme_lightning.sweep.findings.speakers import speakers
from phoneme_lightning.sweep.findings.throughput import throughput
from phoneme_lightning.sweep.findings.training_loss import training_loss
from phoneme_lightning.sweep.findings.warmup import warmup
from phoneme_lightning.sweep.folder import RoundFolder, write_atomically

__all__ = ["INFORMATION", "RULES", "calibrated", "diagnose", "to_json", "write_findings"]

FILE = "findings.json"

Rule = Callable[[Evidence], list[Finding]]

RULES: Mapping[str, Rule] = {
    "infeasible": infeasible,
    "boundary": boundary,
    "instability": edge,
    "spikes": spikes,
    "training_loss": training_loss,
    "overfitting": overfitting,
    "late_noise": late_noise,
    "length": length,
    "density": density,
    "isolation": isolation,
    "robustness": robustness,
}
"""Rule -> who judges by it. `fairness` comes after them, since it weighs what they found."""

INFORMATION: Mapping[str, Rule] = {
    "importance": importance,
    "gradients": gradients,
    "warmup": warmup,
    "throughput": throughput,
    "periodic": periodic,
    "phones": phones,
    "speakers": speakers,
    "mixture": mixture,
    "caveats": caveats,
}
"""Rule -> who tells more. None was calibrated and none warns; `speakers` blocks where train and
validation are not apart, which is counted and no matter of chance."""


def calibrated(evidence: Evidence) -> list[Finding]:
    """Judge a round by the calibrated rules, what blocks first.

    Args:
        evidence: the round; nothing else is read.
    """
    found = [finding for rule in RULES.values() for finding in rule(evidence)]
    return _ordered(found + fairness(evidence, found))


def diagnose(evidence: Evidence) -> list[Finding]:
    """Judge a round by every rule, what blocks first; a probe has a finding of its own.

    Args:
        evidence: the round; nothing else is read.
    """
    if evidence.round.phase == "probe":
        return [evidence.probed] if evidence.probed else []
    told = [finding for rule in INFORMATION.values() for finding in rule(evidence)]
    return _ordered(calibrated(evidence) + told)


def _ordered(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: ORDER.index(finding.verdict))


def to_json(findings: Sequence[Finding]) -> str:
    """Write findings as JSON; what is no number becomes null."""
    return json.dumps([_plain(finding.as_dict()) for finding in findings], indent=2) + "\n"


def write_findings(folder: RoundFolder, findings: Sequence[Finding]) -> None:
    """Leave findings in a round's folder as findings.json; one that may only be read stays so."""
    try:
        write_atomically(folder.path / FILE, to_json(findings))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item"):  # numpy's scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
