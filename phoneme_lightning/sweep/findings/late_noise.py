"""Whether validations jump so much, late in training, that luck picks the winner."""

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.seeds import unexplained

__all__ = ["late_jitter", "late_noise"]

MUCH = 1.1
"""Jitter, in multiples of what the last-k means of like trials differ by."""
FEWEST = 4
TOP = 5


def late_jitter(evidence: Evidence) -> float | None:
    """Pool what the objective of every arm's best trials jumps by, late in training.

    Returns:
        standard deviation of one validation to the next, without the trend; None where fewer than
        3 trials have enough validations in their second half.
    """
    squares = []
    for arm in evidence.arms():
        for record in evidence.completed(arm)[:TOP]:
            _, values = evidence.curve(record)
            late = values[len(values) // 2 :]
            if len(late) >= FEWEST:
                # The variance of second differences is 6 times that of the noise.
                squares.append(float(np.mean(np.diff(late, 2) ** 2)) / 6)
    return float(np.sqrt(np.mean(squares))) if len(squares) >= 3 else None


def late_noise(evidence: Evidence) -> list[Finding]:
    """Judge the jitter of the best trials of every arm over the second half of training."""
    noise = late_jitter(evidence)
    premiums = [
        evidence.sign * (record.measured.best - record.measured.last)
        for arm in evidence.arms()
        for record in evidence.completed(arm)[:TOP]
        if record.measured
    ]
    last = {
        record.trial: evidence.sign * record.measured.last
        for arm in evidence.arms()
        for record in evidence.completed(arm)
        if record.measured
    }
    apart = unexplained(evidence, last)
    if noise is None or not apart:
        sentence = "Too few validations late in training to tell how much they jump."
        return [Finding("late_noise", "unknown", sentence, figure="curves", playbook="D4")]
    ratio, premium = noise / apart, float(np.mean(premiums))
    numbers = {"jitter": noise, "between_trials": apart, "ratio": ratio, "lucky_premium": premium}
    if ratio <= MUCH:
        sentence = f"Late validations jump by {noise:.2g}, less than trials differ ({apart:.2g})."
        return [Finding("late_noise", "ok", sentence, numbers, "curves", playbook="D4")]
    sentence = (
        f"Late validations jump by {noise:.2g}, more than like trials differ ({apart:.2g}): a best "
        f"value is {premium:.2g} of luck."
    )
    action = (
        f"phoneme-sweep leaderboard {evidence.round.name} --by last  # and let the learning rate "
        "decay, or average the weights"
    )
    return [Finding("late_noise", "warn", sentence, numbers, "curves", action, playbook="D4")]
