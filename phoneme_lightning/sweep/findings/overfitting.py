"""Whether validation gets worse while the training loss still falls."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.late_noise import late_jitter
from phoneme_lightning.sweep.findings.seeds import seed_sigma
from phoneme_lightning.sweep.records import TrialRecord

__all__ = ["fall", "overfitting"]

LEVEL = 0.01
MATTERS = 0.25
"""Fall, in seed-sigma, that is worth a word."""
FEWEST = 8
REGULARISERS = ("dropout", "weight_decay", "label_smoothing", "mixup", "augment")


def fall(values: NDArray[np.float64], noise: float) -> tuple[int, float, float]:
    """Measure how far a curve ends below its highest stretch.

    Args:
        values: (n,) of a curve, more is better, n at least 8.
        noise: standard deviation of one value to the next.

    Returns:
        place of the highest stretch's middle, the fall, and the chance of one as deep by noise.
    """
    width = max(2, len(values) // 6)
    smooth = np.convolve(values, np.full(width, 1 / width), "valid")
    before = smooth[:-width]
    peak = int(before.argmax())
    drop = float(before[peak] - smooth[-1])
    chance = float(ndtr(-drop / (max(noise, 1e-12) * np.sqrt(2 / width)))) * len(before) / width
    return peak + width // 2, drop, min(1.0, chance)


def overfitting(evidence: Evidence) -> list[Finding]:
    """Judge the best trial of each arm by its objective over training."""
    found = []
    arms = evidence.arms()
    exempt = any(name in key for key in evidence.round.scientific for name in REGULARISERS)
    looked = 0
    jumps, sigma = late_jitter(evidence), seed_sigma(evidence) or 0.0
    usual = jumps[0] if jumps else None
    for arm in arms:
        best = evidence.completed(arm)[:1]
        steps, values = evidence.curve(best[0]) if best else (np.array([]),) * 2
        if len(values) < FEWEST or usual is None:
            continue
        looked += 1
        own = float(np.sqrt(np.mean(np.diff(values[len(values) // 2 :], 2) ** 2) / 6))
        peak, drop, chance = fall(values, max(usual, own))
        if chance * len(arms) >= LEVEL or drop < MATTERS * sigma:
            continue
        if not _learns(evidence, best[0], steps[peak]):
            continue
        found.append(
            Finding(
                "overfitting",
                "info" if exempt else "warn",
                f"{best[0].trial}, the best trial of {evidence.called(arm)}, is best at step "
                f"{steps[peak]:.0f} and ends {drop:.2g} worse, though its training loss still "
                "falls: it overfits.",
                {
                    "trial": best[0].trial,
                    "step": float(steps[peak]),
                    "fall": drop,
                    "chance": min(1.0, chance * len(arms)),
                },
                "curves",
                f"phoneme-sweep next-round {evidence.round.name} --ask "
                "'model.label_smoothing=[0, 0.1]'  # or dropout, or weight decay",
                arm,
                None,
                "D4",
            )
        )
    if looked and not found:
        sentence = "No best trial gets worse on validation towards its end."
        found.append(Finding("overfitting", "ok", sentence, figure="curves", playbook="D4"))
    if not looked:
        sentence = f"Curves have fewer than {FEWEST} validations: too few to see overfitting."
        found.append(Finding("overfitting", "unknown", sentence, figure="curves", playbook="D4"))
    return found


def _learns(evidence: Evidence, record: TrialRecord, step: float) -> bool:
    """Tell whether a trial's training loss is lower at its end than around a step."""
    steps, loss = evidence.curve(record, "train/loss")
    if len(loss) < FEWEST:
        return True
    width = max(2, len(loss) // 5)
    near = np.argsort(np.abs(steps - step))[:width]
    return bool(loss[-width:].mean() < loss[near].mean())
