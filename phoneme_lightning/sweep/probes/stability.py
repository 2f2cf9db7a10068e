"""Whether a training loss breaks on its way, and when."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from phoneme_lightning.sweep.findings.statistics import jitter

__all__ = ["ROWS", "Stability", "fall", "stability"]

ROWS = 20
"""Fewest rows of a curve that is judged."""
JUMP = 9.0
"""Rise of the running median, in its standard errors, that is no jitter: over some hundred steps
its highest and its lowest lie 6 to 8 apart by themselves."""
MATTERS = 0.1
"""Rise, or fall, as a share of the loss, below which it is nothing."""
NARROW, WIDE, MANY_ROWS = 5, 11, 100
"""Rows that a running median is over, below and from so many rows on."""
WILDEST = 0.25
"""Jitter, as a share of the loss, that is still believed: wild all along is no excuse."""
OF_A_MEDIAN = 1.2533
"""Standard error of a median of normal deviates, in those of a mean."""
TINY = 1e-6
EARLY = 0.2
"""Share of the steps, and at least twice the warmup, in which a break is one of the beginning."""


@dataclass(frozen=True)
class Stability:
    """How a training went."""

    kind: Literal["stable", "early", "mid", "stuck"]
    """stable; broke at its beginning; broke in mid-training; or never learnt anything."""

    step: int | None = None
    """Where the loss began to rise, or was no number any more."""

    rise: float | None = None
    """Above its lowest before, in nats; None where it was no number any more."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return asdict(self)


def stability(
    steps: NDArray[np.float64],
    loss: NDArray[np.float64],
    warmup: int,
    whole: int,
    given_up: str | None = None,
    usual: float = 0.0,
) -> Stability:
    """Judge a training by its loss at every step.

    The loss breaks where its running median over 11 steps lies above its lowest so far by a tenth,
    and by 9 of its standard errors; or where it is no number. So a rise of 5 steps is overlooked.

    Args:
        steps: (n,), of the rows.
        loss: (n,), of the training batches; not a number where it was none.
        warmup: steps over which the learning rate rises.
        whole: steps that the training was to have.
        given_up: the cause for which it was given up, if it was.
        usual: by how much the loss of a training that works falls, in nats; one that falls by less
            than half of it, or by less than a tenth of itself, is stuck.
    """
    early = max(EARLY * whole, 2 * warmup)
    lost = np.flatnonzero(~np.isfinite(loss))
    known = loss[: lost[0]] if len(lost) else loss
    place, rise = _break(known) if len(known) >= ROWS else (None, None)
    if place is None and (len(lost) or given_up in ("nan", "diverged")):
        place = min(len(known), len(steps) - 1)
    if place is not None:
        step = int(steps[place]) if len(steps) else 0
        return Stability("early" if step <= early else "mid", step, rise)
    if given_up or fall(known) < max(MATTERS * known[0], usual / 2):
        return Stability("stuck")
    return Stability("stable")


def _break(loss: NDArray[np.float64]) -> tuple[int | None, float | None]:
    """Give the row at which a loss begins its first rise that is no jitter, and its height."""
    logs = np.log(np.maximum(loss, TINY))  # a loss jitters by a share of itself
    width = WIDE if len(loss) >= MANY_ROWS else NARROW
    smooth = median_filter(logs, width, mode="nearest")
    error = min(jitter(logs), WILDEST) * OF_A_MEDIAN / np.sqrt(width)
    most = max(JUMP * error, float(np.log1p(MATTERS)))
    lowest = np.minimum.accumulate(smooth)
    above = smooth - lowest
    high = np.flatnonzero(above > most)
    if not len(high):
        return None, None
    first = int(high[0])
    begin = int(np.flatnonzero(above[:first] <= most / 2)[-1])
    back = np.flatnonzero(smooth[first:] <= lowest[first])
    end = first + int(back[0]) if len(back) else len(smooth)
    return begin, float(np.exp(smooth[begin:end].max()) - np.exp(lowest[first]))


def fall(loss: NDArray[np.float64]) -> float:
    """Give by how much a loss has fallen at its end, in nats.

    Args:
        loss: (n,), n at least 1.
    """
    return float(loss[0] - np.median(loss[-max(1, len(loss) // 5) :]))
