"""Whether another way to rank trials would name another winner."""

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.isolation import lead
from phoneme_lightning.sweep.findings.seeds import unexplained
from phoneme_lightning.sweep.records import TrialRecord

__all__ = ["measures", "robustness"]

LEVEL = 0.03
FAR = 3.5
"""How far the winner may fall behind by another measure, in standard errors of a difference."""
SELECTIONS = ("best", "final", "last")
OTHER = "val/macro_f1"


def measures(evidence: Evidence) -> dict[str, dict[str, float]]:
    """Give every completed trial's score by every measure, more is better."""
    done = [record for arm in evidence.arms() for record in evidence.completed(arm)]
    found: dict[str, dict[str, float]] = {
        selection: {
            r.trial: evidence.sign * getattr(r.measured, selection) for r in done if r.measured
        }
        for selection in SELECTIONS
    }
    if evidence.round.objective.metric != OTHER and done and _has(evidence, done[0]):
        curves = {record.trial: evidence.curve(record, OTHER)[1] for record in done}
        found["macro F1"] = {trial: float(np.max(f)) for trial, f in curves.items() if len(f)}
    return found


def _has(evidence: Evidence, record: TrialRecord) -> bool:
    return any(OTHER in row for row in evidence.curves.get(record.trial, ()))


def robustness(evidence: Evidence) -> list[Finding]:
    """Judge the winning arm and the winning trial by the other measures."""
    scores = measures(evidence)
    chosen = scores.pop(evidence.round.objective.selection)
    if len(chosen) < 8:
        return []
    winner = max(chosen, key=lambda trial: chosen[trial])
    arm = next(record.arm for record in evidence.trials if record.trial == winner)
    behind: dict[str, float] = {}
    disagree: dict[str, str] = {}
    for name, each in scores.items():
        sigma = unexplained(evidence, each)
        if winner not in each or not sigma:
            continue
        best = max(each, key=lambda trial: each[trial])
        behind[name] = float((each[best] - each[winner]) / (np.sqrt(2) * sigma))
        rival = next(record.arm for record in evidence.trials if record.trial == best)
        flipped = rival != arm and lead(evidence, rival, arm, each) * len(scores) < LEVEL
        if flipped or behind[name] > FAR:
            disagree[name] = best
    numbers = {"winner": winner, "behind": behind, "others": disagree}
    if not disagree:
        sentence = "Every way to rank trials agrees with the winner, as far as noise allows."
        return [Finding("robustness", "ok", sentence, numbers, "curves", playbook="D5")]
    told = ", ".join(f"{trial} by {name}" for name, trial in disagree.items())
    sentence = f"The winner depends on how it is chosen: {winner} leads here, but {told} does."
    by = next((name for name in disagree if name in SELECTIONS), None)
    action = f"phoneme-sweep leaderboard {evidence.round.name} --by {by}"
    if by is None:
        action = f"set objective.metric to {OTHER} in a new round, if that is what counts"
    return [Finding("robustness", "warn", sentence, numbers, "curves", action, playbook="D5")]
