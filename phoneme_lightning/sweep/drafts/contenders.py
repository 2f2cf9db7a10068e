"""Which arms of a round are still worth asking about."""

from collections.abc import Sequence

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.isolation import lead

__all__ = ["contenders"]

LUCK = 0.05
"""Chance of a lead by luck below which the arm that is led is dropped."""


def contenders(evidence: Evidence, findings: Sequence[Finding]) -> dict[str, str]:
    """Give the arms that may still be the best, each with the reason, the leader first.

    An arm is dropped where the leader's lead is more than luck explains; not while a finding says
    that it was not tuned as well as the leader was.

    Args:
        evidence: the round.
        findings: on it.
    """
    done = {arm: evidence.completed(arm) for arm in evidence.arms()}
    done = {arm: records for arm, records in done.items() if records}
    if not done:
        return {arm: "no trial of it has completed" for arm in evidence.arms()}
    scores = {r.trial: evidence.score(r) for records in done.values() for r in records}
    isolation = next((one for one in findings if one.rule == "isolation"), None)
    first = isolation.numbers["leader"] if isolation else next(iter(done))
    unfair = {
        one.arm for one in findings if one.rule == "fairness" and one.verdict in ("warn", "block")
    }
    kept = {first: "it leads"}
    for arm in done:
        if arm == first:
            continue
        if arm in unfair:
            kept[arm] = "it was not tuned as well as the others yet"
        elif lead(evidence, first, arm, scores) * len(done) >= LUCK:
            kept[arm] = f"{first} leads it by no more than luck explains"
    return kept
