"""How the arms compare at their best, and whether the comparison is fair."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.statistics import best_of, swap_test

__all__ = ["fairness", "isolation", "lead"]

CLEAR = 0.05
TOP = 3
FEWEST = 4
TELLING = ("boundary", "instability", "overfitting")
"""Rules whose finding on one arm alone makes it no match for the others."""


def _by_point(evidence: Evidence, arm: str, scores: Mapping[str, float]) -> dict[int, float]:
    points: dict[int, list[float]] = {}
    for record in evidence.completed(arm):
        if record.trial in scores:
            points.setdefault(record.point, []).append(scores[record.trial])
    return {point: float(np.mean(each)) for point, each in points.items()}


def lead(evidence: Evidence, ours: str, theirs: str, scores: Mapping[str, float]) -> float:
    """Give the chance that an arm's best three points lead another's by as much through luck.

    Args:
        evidence: the round.
        ours: the arm that leads.
        theirs: the other.
        scores: trial -> what to compare by, more is better.
    """
    one, two = _by_point(evidence, ours, scores), _by_point(evidence, theirs, scores)
    places = sorted({*one, *two})

    def row(points: dict[int, float]) -> NDArray[np.float64]:
        return np.array([points.get(place, -np.inf) for place in places])

    return swap_test(row(one), row(two), TOP)


def isolation(evidence: Evidence) -> list[Finding]:
    """Compare the best of the arms, with how much luck is in it.

    A confirm round has a verdict of its own.
    """
    if evidence.round.phase == "confirm":
        return []
    scores = {
        r.trial: evidence.score(r) for arm in evidence.arms() for r in evidence.completed(arm)
    }
    points = {arm: _by_point(evidence, arm, scores) for arm in evidence.arms()}
    points = {arm: each for arm, each in points.items() if each}
    if len(points) < 2:
        return []
    fewest = min(len(each) for each in points.values())
    top = min(TOP, fewest)
    rows: dict[str, dict[str, Any]] = {}
    for arm, each in points.items():
        values = np.array(list(each.values()))
        rows[arm] = {
            "points": len(values),
            "best": evidence.sign * float(values.max()),
            "top": evidence.sign * float(np.sort(values)[-top:].mean()),
            "best_of_equal": sorted(
                evidence.sign * best_of(values, fewest, chance) for chance in (0.025, 0.975)
            ),
        }
    order = sorted(rows, key=lambda arm: -evidence.sign * rows[arm]["top"])
    first, second = order[:2]
    chance = min(1.0, lead(evidence, first, second, scores) * len(order))  # any arm could lead
    by = abs(rows[first]["top"] - rows[second]["top"])
    clear = chance < CLEAR and fewest >= FEWEST
    luck = "more than luck explains" if clear else "which may be luck"
    numbers = {
        "arms": rows,
        "leader": first,
        "next": second,
        "lead": by,
        "of_the_best": top,
        "chance": chance,
        "clear": clear,
    }
    means = f"means of the best {top}" if top > 1 else "their best points"
    sentence = f"{first} leads {second} by {by:.2g} ({means}), {luck}."
    action = f"phoneme-sweep confirm {evidence.round.name}"
    return [Finding("isolation", "info", sentence, numbers, "isolation", action, playbook="D5")]


def fairness(evidence: Evidence, so_far: Sequence[Finding]) -> list[Finding]:
    """Judge whether all arms were tuned equally well; in a confirm round none is tuned.

    Args:
        evidence: the round.
        so_far: what the other rules found.
    """
    arms = evidence.arms()
    if len(arms) < 2 or evidence.round.phase == "confirm":
        return []
    found = []
    counts = {arm: len(evidence.by_point(evidence.completed(arm))) for arm in arms}
    most = max(counts.values())
    if most < FEWEST:
        sentence = "Too few completed points to tell whether the arms were tuned equally well."
        return [Finding("fairness", "unknown", sentence, {"points": counts}, playbook="D5")]
    for arm, count in counts.items():
        if count < most / 2:
            found.append(
                Finding(
                    "fairness",
                    "block",
                    f"{arm} has {count} completed points where another arm has {most}: its best "
                    "had less luck to draw from.",
                    {"points": counts},
                    "isolation",
                    f"phoneme-sweep status {evidence.round.name}",
                    arm,
                    None,
                    "D5",
                )
            )
    for rule in TELLING:
        bad = {
            one.arm: one for one in so_far if one.rule == rule and one.verdict in ("warn", "block")
        }
        if not 0 < len(bad) < len(arms):
            continue
        found += [
            Finding(
                "fairness",
                one.verdict,
                f"{arm} was not tuned as well as the other arms ({rule}): do not compare it yet.",
                {"because": rule},
                one.figure,
                one.action,
                arm,
                one.key,
                "D5",
            )
            for arm, one in bad.items()
        ]
    if not found:
        sentence = "All arms were tuned equally well."
        found.append(Finding("fairness", "ok", sentence, {"points": counts}, playbook="D5"))
    return found
