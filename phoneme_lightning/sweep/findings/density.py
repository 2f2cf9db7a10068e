"""Whether there are enough good points, and what more of them would buy."""

from typing import Any

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.seeds import seed_sigma
from phoneme_lightning.sweep.findings.statistics import best_of

__all__ = ["density"]

ENOUGH = 3
NEAR = 3.25
"""Seed-sigma from the best within which a point is good: two seeds rarely differ by more."""
FEWEST = 8
QUARTILES = (0.25, 0.5, 0.75)


def density(evidence: Evidence) -> list[Finding]:
    """Count the good points of each arm: those within NEAR seed-sigma, or 1 %, of its best."""
    if evidence.round.phase == "confirm":  # its points are seeds
        return []
    found = []
    sigma = seed_sigma(evidence)
    for arm in evidence.arms():
        points = evidence.by_point(evidence.completed(arm))
        scores = np.array([evidence.scores(same).mean() for same in points])
        if len(scores) < FEWEST or sigma is None:
            sentence = (
                f"Too few completed points of {evidence.called(arm)}, {len(scores)}, to tell how "
                "good they are."
            )
            numbers: dict[str, Any] = {"points": len(scores)}
            found.append(
                Finding("density", "unknown", sentence, numbers, "budget", arm=arm, playbook="D2")
            )
            continue
        within = max(NEAR * sigma, 0.01 * abs(float(scores.max())))
        good = int((scores >= scores.max() - within).sum())
        half, whole = len(scores) // 2, len(scores)
        gain = best_of(scores, whole, 0.5) - best_of(scores, half, 0.5)
        numbers = {
            "points": whole,
            "good": good,
            "within": within,
            "seed_sigma": sigma,
            "best_of_half": [evidence.sign * best_of(scores, half, q) for q in QUARTILES],
            "best_of_all": [evidence.sign * best_of(scores, whole, q) for q in QUARTILES],
            "doubling_bought": gain,
        }
        thin = good < ENOUGH
        found.append(
            Finding(
                "density",
                "warn" if thin else "ok",
                f"{'Only ' * thin}{good} of {whole} points of {evidence.called(arm)} are good; the "
                f"last doubling of their number bought {gain:.2g}, the next would hardly buy more "
                "than that.",
                numbers,
                "budget",
                f"phoneme-sweep extend {evidence.round.name} --points {2 * whole}"
                if thin
                else None,
                arm,
                None,
                "D2",
            )
        )
    return found
