"""How long gradients are before they are clipped, and whether the clip suits them."""

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.records import TrialRecord

__all__ = ["clip_of", "gradients"]

NORM, CLIP = "train/grad_norm", "trainer.gradient_clip_val"
TOP = 3
FEWEST = 20
"""Logged norms without which no quantile is given."""
AGGRESSIVE = 0.5
"""Share of clipped steps above which the learning rate is what is wrong (playbook, G3)."""


def gradients(evidence: Evidence) -> list[Finding]:
    """Tell how long the gradients of each arm's best trials are, and what to clip them at.

    The norms are those of the steps that were logged. A good value to clip at is their 90th
    percentile; where more than half of the steps are clipped, a smaller learning rate is the better
    cure (playbook, G3).
    """
    found = []
    for arm in evidence.arms():
        norms, shares, clips = [], [], set[float]()
        for record in evidence.completed(arm)[:TOP]:
            own = evidence.curve(record, NORM)[1]
            norms.append(own)
            clip = clip_of(evidence, record)
            if clip:
                clips.add(clip)
                shares.append(own > clip)
        pooled = np.concatenate(norms) if norms else np.array([])
        if len(pooled) < FEWEST:
            continue
        clipped = float(np.concatenate(shares).mean()) if shares else None
        found.append(_judge(evidence, arm, len(norms), pooled, sorted(clips), clipped))
    if not found:
        sentence = f"Fewer than {FEWEST} gradient norms were logged of every arm's best trials."
        found.append(Finding("gradients", "unknown", sentence, figure="gradients", playbook="G3"))
    return found


def clip_of(evidence: Evidence, record: TrialRecord) -> float | None:
    """Give the norm that a trial's gradients were clipped at; None without one, or if unknown."""
    settings = evidence.settings.get(record.trial, {})
    by_norm = settings.get("trainer.gradient_clip_algorithm") in (None, "norm")
    clip = settings.get(CLIP)
    return float(clip) if clip and by_norm else None


def _judge(
    evidence: Evidence,
    arm: str,
    trials: int,
    norms: np.ndarray,
    clips: list[float],
    clipped: float | None,
) -> Finding:
    p50, p90, p99, largest = np.quantile(norms, [0.5, 0.9, 0.99, 1.0]).tolist()
    numbers = {
        "trials": trials,
        "steps": len(norms),
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "largest": largest,
        "clip": clips,
        "clipped": clipped,
    }
    action = f"{CLIP}: {p90:.2g}"
    whose = f"the best {f'{trials} trials' if trials > 1 else 'trial'} of {evidence.called(arm)}"
    at = " to ".join(f"{clip:g}" for clip in dict.fromkeys((*clips[:1], *clips[-1:])))
    nine = f"Nine in ten gradients of {whose} have a norm below {p90:.2g}"
    if clipped is None:
        sentence = f"{nine}, and none is known to be clipped."
    elif clipped > AGGRESSIVE:
        sentence = (
            f"Of the gradients of {whose}, {clipped:.0%} have a norm above {at} and were clipped "
            "to it: if that is more than half, the learning rate is probably too high."
        )
        action = f"lower the learning rate, or set {action}"
    else:
        sentence = f"{nine}; the clip at {at} shortened {clipped:.0%} of them."
    return Finding("gradients", "info", sentence, numbers, "gradients", action, arm, None, "G3")
