"""Which arms of a round are still worth asking about."""

from collections.abc import Mapping, Sequence
from typing import Any

from phoneme_lightning.sweep.arms import Arm, arms
from phoneme_lightning.sweep.design_file import Row
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.isolation import lead
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.overrides import leaves, overrides
from phoneme_lightning.sweep.records import TrialRecord

__all__ = ["contenders", "settled"]

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


def settled(
    evidence: Evidence, arm: str, best: TrialRecord, base: Mapping[str, Any]
) -> dict[str, Any]:
    """Give what an arm sets, by dotted key, whole, so that a round without arms can fix it.

    Args:
        evidence: the round.
        arm: name of the arm; none of its values is a part of a range.
        best: a trial of it.
        base: what the base configs give, nested.
    """
    chosen = next(one for one in arms(evidence.round) if one.name == arm)
    row = Row(best.trial, best.arm, best.point, best.seed, best.values)
    whole = flatten(overrides(evidence.round, row, base))
    wanted = _prefixes(chosen, flatten(base))
    searched = best.values.keys() - chosen.values.keys()
    return {
        key: value
        for key, value in whole.items()
        if key not in searched and any(key == one or key.startswith(f"{one}.") for one in wanted)
    }


def _prefixes(arm: Arm, base: Mapping[str, Any]) -> list[str]:
    """Give what stands under the keys of an arm: a class brings its init_args."""
    keys = leaves(arm.settings, base)
    return [key.removesuffix(".class_path") for key in keys]
