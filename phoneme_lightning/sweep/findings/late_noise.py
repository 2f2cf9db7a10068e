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


def late_jitter(evidence: Evidence) -> tuple[float, float] | None:
    """Pool what the objective of every arm's best trials jumps by, late in training.

    What the curves of an arm have in common is taken out first: trials with the same batches and
    the same schedule go up and down together, which picks no winner.

    Returns:
        standard deviation of one validation to the next, without the trend, and by how much the
        best validation of a trial lies above its own course on average; None where fewer than 3
        trials have enough validations in their second half.
    """
    squares: list[float] = []
    premiums: list[float] = []
    for arm in evidence.arms():
        curves = [evidence.curve(record) for record in evidence.completed(arm)[:TOP]]
        same = [values for steps, values in curves if np.array_equal(steps, curves[0][0])]
        if len(same) < 2:
            continue
        late = np.array(same)[:, len(same[0]) // 2 :]
        if late.shape[1] < FEWEST:
            continue
        # A mean of n curves takes 1 / n of each one's own noise along.
        own = (late - late.mean(axis=0)) * np.sqrt(len(same) / (len(same) - 1))
        # The variance of second differences is 6 times that of the noise.
        squares += list(np.mean(np.diff(own, 2) ** 2, axis=1) / 6)
        rows = np.arange(len(same)), late.argmax(axis=1)
        premiums += list(own[rows] - own.mean(axis=1))
    if len(squares) < 3:
        return None
    return float(np.sqrt(np.mean(squares))), float(np.mean(premiums))


def late_noise(evidence: Evidence) -> list[Finding]:
    """Judge the jitter of the best trials of every arm over the second half of training."""
    jumps = late_jitter(evidence)
    last = {
        record.trial: evidence.sign * record.measured.last
        for arm in evidence.arms()
        for record in evidence.completed(arm)
        if record.measured
    }
    apart = unexplained(evidence, last)
    if jumps is None or not apart:
        sentence = "Too few validations late in training to tell how much they jump."
        return [Finding("late_noise", "unknown", sentence, figure="curves", playbook="D4")]
    noise, premium = jumps
    ratio = noise / apart
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
