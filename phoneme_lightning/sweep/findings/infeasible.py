"""How many trials failed by their setting, and why."""

from collections import Counter

from scipy.special import bdtrc

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding, Verdict
from phoneme_lightning.sweep.findings.limits import Limit, limits
from phoneme_lightning.sweep.findings.statistics import wilson

__all__ = ["infeasible"]

MANY, MOST = 0.25, 0.5
USUAL = 0.1
"""Share that even a well-chosen space may lose."""
LEVEL = 0.02


def infeasible(evidence: Evidence) -> list[Finding]:
    """Judge the share of infeasible trials of each arm.

    Warns above a quarter and blocks above a half, where luck alone would not do that to a space
    that loses a tenth (a quarter) of its trials.
    """
    found = []
    arms = evidence.arms()
    for arm in arms:
        trials = evidence.of(arm)
        bad = [record for record in trials if record.state == "infeasible"]
        count = len(bad) + sum(record.state == "completed" for record in trials)
        if not count:
            found.append(
                Finding(
                    "infeasible", "unknown", f"No trial of {arm} has ended.", arm=arm, playbook="D3"
                )
            )
            continue
        share, level = len(bad) / count, LEVEL / len(arms)
        verdict: Verdict = "info" if bad else "ok"
        if share > MANY and bdtrc(len(bad) - 1, count, USUAL) < level:
            verdict = "warn"
        if share > MOST and bdtrc(len(bad) - 1, count, MANY) < level:
            verdict = "block"
        causes = Counter(record.cause or "unknown" for record in bad)
        branches = [branch for branch in evidence.branches() if branch.arm == arm]
        sides = [limit for branch in branches for limit in limits(evidence, branch)]
        sides.sort(key=lambda limit: limit.chance)
        low, high = wilson(len(bad), count)
        numbers = {
            "infeasible": len(bad),
            "of": count,
            "share": share,
            "low": low,
            "high": high,
            "causes": dict(causes),
            "limits": {
                limit.key: {
                    "upper": limit.upper,
                    "value": limit.value,
                    "beyond": limit.beyond,
                    "chance": limit.chance,
                }
                for limit in sides
            },
        }
        sentence, action = _say(evidence.called(arm), len(bad), count, causes, verdict), None
        if sides:
            sentence += _where(sides[0])
            if sides[0].beyond:
                bound = "high" if sides[0].upper else "low"
                action = (
                    f"phoneme-sweep next-round {evidence.round.name}  # {bound} of {sides[0].key} "
                    f"becomes {sides[0].value:.3g}, or less wide"
                )
        elif verdict in ("warn", "block"):
            sentence += " They lie all over the space, as they do where there is a bug."
        if action is None and verdict in ("warn", "block"):
            action = f"phoneme-sweep repro {evidence.round.name} {bad[0].trial}  # read its log"
        found.append(
            Finding(
                "infeasible",
                verdict,
                sentence,
                numbers,
                f"axis:{sides[0].key}" if sides else "parallel",
                action,
                arm,
                sides[0].key if sides else None,
                "D3",
            )
        )
    return found


def _where(limit: Limit) -> str:
    side = "above" if limit.upper else "below"
    if limit.beyond:
        return f" No trial worked {side} {limit.key} = {limit.value:.3g}."
    return f" They crowd at the {'upper' if limit.upper else 'lower'} end of {limit.key}."


def _say(arm: str, bad: int, count: int, causes: Counter[str], verdict: Verdict) -> str:
    if verdict == "ok":
        return (
            f"All {count} settings of {arm} work."
            if count > 1
            else f"The one setting of {arm} works."
        )
    why = ", ".join(f"{cause} {n}" for cause, n in causes.most_common())
    much = ", too many" if verdict in ("warn", "block") else ""
    return f"{bad} of {count} settings of {arm} do not work ({why}){much}."
