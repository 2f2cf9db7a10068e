"""Whether a training loss breaks on its way, and when."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from phoneme_lightning.sweep.findings.statistics import jitter, middle

__all__ = ["ROWS", "Stability", "stability"]

ROWS = 20
"""Fewest rows of a curve that is judged."""
JUMP = 5.0
"""Rise of the loss, in multiples of its jitter, that is no jitter."""
MATTERS = 0.1
"""Rise, or fall, as a share of the loss, below which it is nothing."""
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
) -> Stability:
    """Judge a training by its loss at every step.

    The loss breaks where its running median over 7 steps lies above its lowest so far by 5 times
    what the loss jitters by, and by a tenth of itself; or where it is no number.

    Args:
        steps: (n,), of the rows.
        loss: (n,), of the training batches; not a number where it was none.
        warmup: steps over which the learning rate rises.
        whole: steps that the training was to have.
        given_up: the cause for which it was given up, if it was.
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
    if given_up or _fall(known) < MATTERS * known[0]:
        return Stability("stuck")
    return Stability("stable")


def _break(loss: NDArray[np.float64]) -> tuple[int | None, float | None]:
    """Give the row at which a loss begins its first rise that is no jitter, and its height."""
    noise = min(jitter(loss), MATTERS * float(np.median(loss)))  # wild all along is no excuse
    smooth = middle(loss)
    lowest = np.minimum.accumulate(smooth)
    high = np.flatnonzero(smooth - lowest > np.maximum(JUMP * noise, MATTERS * lowest))
    if not len(high):
        return None, None
    begin = int(smooth[: high[0]].argmin())
    back = np.flatnonzero(smooth[high[0] :] <= lowest[high[0]])
    end = high[0] + back[0] if len(back) else len(smooth)
    return begin, float(smooth[begin:end].max() - smooth[begin])


def _fall(loss: NDArray[np.float64]) -> float:
    """Give by how much a loss has fallen at its end."""
    return float(loss[0] - np.median(loss[-max(1, len(loss) // 5) :]))
