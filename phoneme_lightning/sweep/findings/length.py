"""Whether training was too short, or far too long."""

import numpy as np
from scipy.special import stdtr

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.seeds import seed_sigma

__all__ = ["length"]

LEVEL = 0.01
FEWEST_TRIALS, FEWEST_ROWS = 4, 8
LATE, EARLY = 0.75, 0.1
MATTERS = 0.3
"""Gain of the last quarter, in seed-sigma, that is worth more steps."""


def length(evidence: Evidence) -> list[Finding]:
    """Judge the better half of each arm's trials: what did the last quarter of training bring?

    Too short: most are best in the last quarter, and gained there what matters. Far too long: what
    they had after a tenth of training was no worse than what came after it.
    """
    gains, early, places = [], [], []
    for arm in evidence.arms():
        done = evidence.completed(arm)
        for record in done[: (len(done) + 1) // 2]:
            steps, values = evidence.curve(record)
            if len(values) < FEWEST_ROWS or not record.measured:
                continue
            quarter = max(1, len(values) // 4)
            gains.append(values[-quarter:].mean() - values[-2 * quarter : -quarter].mean())
            places.append(record.measured.best_step / steps[-1])
            begun = values[steps <= EARLY * steps[-1]]
            if len(begun):
                early.append(values[len(begun) :].mean() - begun[-1])
    sigma = seed_sigma(evidence)
    if len(gains) < FEWEST_TRIALS or not sigma:
        sentence = "Too few completed trials with enough validations to judge the training length."
        return [Finding("length", "unknown", sentence, figure="best_step", playbook="F2")]
    gain, late = float(np.mean(gains)), float(np.mean(np.array(places) > LATE))
    error = float(np.std(gains, ddof=1)) / np.sqrt(len(gains))
    chance = float(stdtr(len(gains) - 1, -gain / max(error, 1e-12)))
    numbers = {
        "trials": len(gains),
        "best_in_last_quarter": late,
        "best_in_first_tenth": float(np.mean(np.array(places) <= EARLY)),
        "gain_of_last_quarter": gain,
        "chance": chance,
        "seed_sigma": sigma,
    }
    if late > 0.5 and chance < LEVEL and gain > MATTERS * sigma:
        sentence = (
            f"{late:.0%} of the good trials are best in the last quarter of training, which still "
            f"brought {gain:.2g}: longer training would do better."
        )
        more = 2 * evidence.round.training.steps
        action = f"phoneme-sweep next-round {evidence.round.name}  # training.steps becomes {more}"
        return [Finding("length", "warn", sentence, numbers, "best_step", action, playbook="F2")]
    if len(early) >= FEWEST_TRIALS:
        rest = float(np.mean(early))
        error = float(np.std(early, ddof=1)) / np.sqrt(len(early))
        numbers["gain_after_first_tenth"] = rest
        if stdtr(len(early) - 1, (rest - sigma) / max(error, 1e-12)) < LEVEL:
            sentence = (
                "The good trials are as good after a tenth of training as after all of it: far "
                "fewer steps would do."
            )
            fewer = max(1, evidence.round.training.steps // 4)
            action = (
                f"phoneme-sweep next-round {evidence.round.name}  # training.steps becomes {fewer}"
            )
            return [
                Finding("length", "warn", sentence, numbers, "best_step", action, playbook="F2")
            ]
    sentence = "Training is neither too short nor far too long."
    return [Finding("length", "ok", sentence, numbers, "best_step", playbook="F2")]
