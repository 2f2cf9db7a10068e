"""How much a trial's objective varies by its seed alone."""

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.statistics import spread
from phoneme_lightning.sweep.records import TrialRecord

__all__ = ["seed_sigma", "unexplained"]

REPEATED = 3


def seed_sigma(evidence: Evidence) -> float | None:
    """Estimate the standard deviation of the objective over seeds.

    From points that were trained with several seeds; where there are fewer than three of them, what
    the hyperparameters leave unexplained, which is rather too much.

    Returns:
        None where there are too few trials.
    """
    squares: list[float] = []
    for arm in evidence.arms():
        for same in evidence.by_point(evidence.completed(arm)):
            if len(same) > 1:
                squares.append(float(np.var(evidence.scores(same), ddof=1)))
    if len(squares) >= REPEATED:
        return float(np.sqrt(np.mean(squares)))
    return unexplained(evidence, {r.trial: evidence.score(r) for r in _all(evidence)})


def _all(evidence: Evidence) -> list[TrialRecord]:
    return [record for arm in evidence.arms() for record in evidence.completed(arm)]


def unexplained(evidence: Evidence, scores: dict[str, float]) -> float | None:
    """Pool over arms the standard deviation that the hyperparameters do not explain.

    Args:
        evidence: the round.
        scores: trial -> a score, more is better.

    Returns:
        None where no arm has 3 trials.
    """
    parts = []
    for branch in evidence.branches():
        done = [record for record in branch.trials if record.trial in scores]
        if len(done) >= 3:
            points = evidence.coordinates(branch, done)
            each = np.array([scores[record.trial] for record in done])
            parts.append((len(done), spread(points, each)))
    if not parts:
        return None
    weights, spreads = np.array(parts).T
    return float(np.sqrt(np.average(spreads**2, weights=weights)))
