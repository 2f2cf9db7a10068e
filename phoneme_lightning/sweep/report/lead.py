"""How surely an arm leads, were the search to be done again (playbook, E1: study variance)."""

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.records import OPEN
from phoneme_lightning.sweep.report.figures.style import arm_names, scored

__all__ = ["lead_share"]

DRAWS = 2000


def lead_share(evidence: Evidence) -> dict[str, float]:
    """Say how often each arm leads when the points are drawn again with replacement.

    The arms share their points, so all of them get the same draw, of the points at which no arm
    has still to run. Seeds are not drawn again: this is the luck of the search, not of training.

    Returns:
        Arm -> share of the draws; 0 for each where no such point has a completed trial.
    """
    names = arm_names(evidence)
    sign = 1.0 if evidence.round.objective.mode == "max" else -1.0
    waiting = {trial.point for trial in evidence.trials if trial.state in OPEN}
    points = sorted({trial.point for trial in evidence.trials} - waiting)
    found: dict[tuple[str, int], list[float]] = {}
    for trial in evidence.trials:
        value = scored(evidence, trial)
        if value is not None and trial.point not in waiting:
            found.setdefault((trial.arm, trial.point), []).append(sign * value)
    if not found:
        return dict.fromkeys(names, 0.0)
    table = np.full((len(names), len(points)), -np.inf)
    for (arm, point), values in found.items():
        table[names.index(arm), points.index(point)] = np.mean(values)
    draws = np.random.default_rng(0).integers(len(points), size=(DRAWS, len(points)))
    bests = np.stack([row[draws].max(axis=1) for row in table])
    bests = bests[:, np.isfinite(bests.max(axis=0))]
    first = bests == bests.max(axis=0)  # arms that draw level share the draw
    return dict(zip(names, (first / first.sum(axis=0)).mean(axis=1).tolist(), strict=True))
