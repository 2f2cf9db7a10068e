"""Whether training is best right before it breaks, and whether it jumps on its way."""

import numpy as np

from phoneme_lightning.sweep.findings.boundary import judge
from phoneme_lightning.sweep.findings.evidence import Branch, Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.limits import Limit, limits
from phoneme_lightning.sweep.findings.statistics import Rise, jitter, middle, rises

__all__ = ["edge", "spikes"]

JUMP = 7.5
"""Height of a spike, in multiples of what the loss jitters by."""
MATTERS = 0.05
"""Height of a spike, as a share of the loss, below which it is nothing."""
FIRST = 0.1
"""Share of training at whose steep beginning no spike is looked for."""
ROWS = 20


def edge(evidence: Evidence) -> list[Finding]:
    """Judge whether an arm gets better right up to where its trials fail.

    If so, a more stable training could use larger values, and would probably be better.
    """
    sides: list[tuple[Branch, Limit, Rise]] = []
    for branch in evidence.branches():
        for limit in limits(evidence, branch):
            rise = _rise_to(evidence, branch, limit) if limit.beyond else None
            if rise is not None:
                sides.append((branch, limit, rise))
    found = []
    for branch, limit, rise in sides:
        if judge(rise, len(sides), len(evidence.arms())) == "ok":
            continue
        towards = "higher" if limit.upper else "lower"
        found.append(
            Finding(
                "instability",
                "warn",
                f"Trials of {evidence.called(branch.arm)} do better the {towards} {limit.key} is, "
                f"right up to {limit.value:.3g}, beyond which training fails: a more stable "
                "training may well do better still.",
                {
                    "limit": limit.value,
                    "upper": limit.upper,
                    "chance_of_trend": min(1.0, rise.trend * len(sides)),
                    "chance_of_optimum_inside": rise.still,
                },
                f"axis:{limit.key}",
                f"phoneme-sweep probe lr {evidence.round.name}  # then warm up longer, or clip",
                branch.arm,
                limit.key,
                "G1",
            )
        )
    if sides and not found:
        sentence = "No arm does best right where training begins to fail."
        found.append(Finding("instability", "ok", sentence, {"limits": len(sides)}, playbook="G1"))
    return found


def _rise_to(evidence: Evidence, branch: Branch, limit: Limit) -> Rise | None:
    """Give the rise to a limit, as if the range ended there."""
    points, scores = evidence.completed_points(branch)
    place = list(branch.spaces).index(limit.key)
    along = points[:, place] if limit.upper else 1 - points[:, place]
    reach = limit.coordinate if limit.upper else 1 - limit.coordinate
    if reach <= 0:
        return None
    along = along / reach
    points[:, place] = along if limit.upper else 1 - along
    found = rises(points, scores)
    return found[place][int(limit.upper)] if found else None


def spikes(evidence: Evidence) -> list[Finding]:
    """Judge whether the training loss of the best trial of an arm jumps and comes back."""
    found = []
    looked = 0
    for arm in evidence.arms():
        best = evidence.completed(arm)[:1]
        steps, loss = evidence.curve(best[0], "train/loss") if best else (np.array([]),) * 2
        if len(loss) < ROWS:
            continue
        looked += 1
        noise = max(jitter(loss), 1e-12)
        above = (loss - middle(loss)) / noise
        above[: int(FIRST * len(loss))] = 0
        place = int(above.argmax())
        if above[place] > JUMP and above[place] * noise > MATTERS * np.median(loss):
            found.append(
                Finding(
                    "spikes",
                    "warn",
                    f"The training loss of {best[0].trial}, the best trial of "
                    f"{evidence.called(arm)}, jumps at step {steps[place]:.0f}, "
                    f"{above[place]:.0f} times as far as it usually does: training is unstable.",
                    {
                        "step": float(steps[place]),
                        "height": float(above[place]),
                        "jumps": int((above > JUMP).sum()),
                    },
                    "gradients",
                    f"phoneme-sweep probe lr {evidence.round.name}  # then clip at the 90th "
                    "percentile of train/grad_norm",
                    arm,
                    None,
                    "G1",
                )
            )
    if looked and not found:
        found.append(Finding("spikes", "ok", "No best trial's training loss jumps.", playbook="G1"))
    return found
