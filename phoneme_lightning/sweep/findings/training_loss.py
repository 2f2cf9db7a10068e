"""Whether the training loss itself rises, which is mostly a bug."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.statistics import jitter, middle

__all__ = ["rise", "training_loss"]

LEVEL = 0.01
FEWEST = 20
STRETCH = 0.2
"""Share of training over which a rise must last."""
MATTERS = 0.02
"""Rise, as a share of the loss."""


def rise(loss: NDArray[np.float64]) -> tuple[int, float, float]:
    """Measure how far a loss rises and stays.

    Args:
        loss: (n,), at least 20.

    Returns:
        the row from which it rises, the rise, and that in standard errors.
    """
    width = int(STRETCH * len(loss))
    noise, usual = max(jitter(loss), 1e-12), middle(loss)
    even = np.clip(loss, usual - 4 * noise, usual + 4 * noise)  # a spike is no rise
    windows = np.lib.stride_tricks.sliding_window_view(even, width).mean(axis=1)
    lowest = np.minimum.accumulate(windows)
    above = windows[width:] - lowest[:-width]
    place = int(above.argmax())
    error = noise * np.sqrt(2 / width)
    row = int(windows[: place + 1].argmin()) + width // 2
    return row, float(above[place]), float(above[place] / error)


def training_loss(evidence: Evidence) -> list[Finding]:
    """Judge the best trial of each arm."""
    found = []
    arms = evidence.arms()
    looked = 0
    for arm in arms:
        best = evidence.completed(arm)[:1]
        steps, loss = evidence.curve(best[0], "train/loss") if best else (np.array([]),) * 2
        if len(loss) < FEWEST:
            continue
        looked += 1
        row, by, errors = rise(loss)
        most = -float(ndtri(LEVEL / (len(arms) / STRETCH)))
        if errors < most or by < MATTERS * loss.min():
            continue
        found.append(
            Finding(
                "training_loss",
                "block",
                f"The training loss of {best[0].trial}, the best trial of {evidence.called(arm)}, "
                f"rises by {by:.2g} from step {steps[row]:.0f} on: that is mostly a bug.",
                {"trial": best[0].trial, "step": float(steps[row]), "rise": by, "errors": errors},
                "losses",
                f"phoneme-sweep repro {evidence.round.name} {best[0].trial}",
                arm,
                None,
                "D4",
            )
        )
    if looked and not found:
        sentence = "The training loss of every arm's best trial falls."
        found.append(Finding("training_loss", "ok", sentence, figure="losses", playbook="D4"))
    if not looked:
        sentence = f"Fewer than {FEWEST} rows of training loss: too few to see it rise."
        found.append(Finding("training_loss", "unknown", sentence, figure="losses", playbook="D4"))
    return found
