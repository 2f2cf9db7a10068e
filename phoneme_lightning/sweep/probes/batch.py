"""`probe batch`: above which size does a larger batch bring no more frames a second?

The playbook's test (A2): while the machine has room to spare, twice the batch takes about the same
time a step, so that throughput doubles. Where it no longer rises, larger batches only waste steps.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from phoneme_lightning.sweep.findings.finding import Finding, Verdict
from phoneme_lightning.sweep.probes.advice import Advice

__all__ = ["ENOUGH", "Size", "bottleneck", "growth", "judge_sizes", "knee"]

ENOUGH = 0.9
"""Share of the highest throughput that counts as having reached it."""
HEALTHY = 1.7
"""Growth of throughput by twice the batch from which a machine counts as having room to spare."""
WAITS = 0.2
"""Share of the time spent waiting for batches from which reading them is what limits."""

KEY = "data.frames_per_batch"

Bottleneck = Literal["none", "reading", "memory", "computing", "unknown"]


@dataclass(frozen=True)
class Size:
    """A batch size as it was measured."""

    frames_per_batch: int
    """As it was asked for."""

    frames: float
    """Real frames a batch, in the mean: utterances are not cut."""

    seconds_a_step: float
    """Time of a step, the wait for its batch in it."""

    wait_share: float
    """Share of that spent waiting for the batch."""

    peak_bytes: int
    """Most memory that the process took: of the GPU where it used one."""

    @property
    def frames_per_second(self) -> float:
        """Throughput."""
        return self.frames / self.seconds_a_step

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return {
            **asdict(self),
            "frames_per_second": self.frames_per_second,
            "steps_per_second": 1 / self.seconds_a_step,
        }


def knee(sizes: Sequence[Size]) -> Size:
    """Give the smallest size that reaches nine tenths of the highest throughput.

    Args:
        sizes: as measured, at least one.
    """
    highest = max(size.frames_per_second for size in sizes)
    enough = [size for size in sizes if size.frames_per_second >= ENOUGH * highest]
    return min(enough, key=lambda size: size.frames)


def growth(sizes: Sequence[Size]) -> float | None:
    """Give by how much twice the batch raises throughput, from the smallest size to the knee.

    Args:
        sizes: as measured, the smallest first; at least one.

    Returns:
        2 where a step of any size takes as long; None where the smallest is the knee.
    """
    best, first = knee(sizes), sizes[0]
    if best.frames <= first.frames:
        return None
    doublings = math.log2(best.frames / first.frames)
    return float((best.frames_per_second / first.frames_per_second) ** (1 / doublings))


def bottleneck(sizes: Sequence[Size], out_of_memory: bool) -> Bottleneck:
    """Say what keeps throughput from rising.

    Args:
        sizes: as measured, the smallest first.
        out_of_memory: whether a larger size did not fit.
    """
    if len(sizes) < 2:
        return "unknown"
    best = knee(sizes)
    if best.wait_share > WAITS:
        return "reading"
    if best is sizes[-1] and out_of_memory:
        return "memory"
    return "none" if (growth(sizes) or 0.0) >= HEALTHY else "computing"


SAID: dict[Bottleneck, str] = {
    "none": "healthy: a step takes about as long whatever the batch.",
    "reading": "a large part of the time goes by waiting for batches: reading them limits.",
    "memory": "throughput still rises where memory ends: memory limits.",
    "computing": "small batches keep the machine busy already: computing limits.",
    "unknown": "nothing can be compared with it.",
}


def judge_sizes(
    sizes: Sequence[Size], now: int, ended: str, out_of_memory: bool
) -> tuple[Finding, Advice]:
    """Choose a batch size by throughput.

    Args:
        sizes: as measured, the smallest first; at least one.
        now: the size that is set.
        ended: why no larger size was measured.
        out_of_memory: whether that was memory.
    """
    best, limit = knee(sizes), bottleneck(sizes, out_of_memory)
    size = best.frames_per_batch
    numbers = {
        "sizes": [one.as_dict() for one in sizes],
        "knee": size,
        "growth": growth(sizes),
        "bottleneck": limit,
        "now": now,
        "ended": ended,
    }
    verdicts: dict[Bottleneck, Verdict] = {"reading": "warn", "unknown": "unknown"}
    each = growth(sizes)
    up_to_there = (
        "It is the smallest measured"
        if each is None
        else (f"Up to there twice the batch brings {each:.2g} times the frames a second")
    )
    reach = f"Above {size:,} frames a batch training gets hardly faster"
    if len(sizes) == 1:
        reach = f"Only {size:,} frames a batch were measured ({ended})"
    elif best is sizes[-1]:
        reach = (
            f"Training gets faster up to {size:,} frames a batch, the largest measured ({ended})"
        )
    sentence = (
        f"{reach}: there it makes "
        f"{best.frames_per_second:,.0f} frames a second, a step in {best.seconds_a_step:.3g} s. "
        f"{up_to_there}; {SAID[limit]}"
    )
    action = None
    if limit == "reading":
        action = "put data.root on a faster disk, or leave out augmentation that takes time"
    finding = Finding(
        "probe_batch",
        verdicts.get(limit, "info"),
        sentence,
        numbers,
        "throughput",
        action,
        None,
        KEY,
        "A2",
    )
    if limit == "unknown":
        return finding, Advice("Nothing is advised: a single size was measured.")
    kept = size == now
    why = (
        f"{size:,} is the smallest size that reaches nine tenths of the highest throughput "
        f"measured, and {'is set already' if kept else f'{now:,} is set now'}. A batch size is "
        "chosen for speed, not for quality: another one wants its learning rate and "
        "regularisation tuned anew. Accumulating gradients brings no speed."
    )
    return finding, Advice(why, {} if kept else {KEY: size})
