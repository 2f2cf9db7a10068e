"""Whether validation goes up and down at a fixed beat, as a leak or a shuffle bug would make it."""

import numpy as np
from numpy.typing import NDArray

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.records import TrialRecord

__all__ = ["periodic"]

Floats = NDArray[np.float64]

SHORTEST, CYCLES = 3, 3
"""Validations of a beat, and beats that must fit in."""
FEWEST = 12
"""Validations after the steep beginning."""
DEGREE = 3
"""Of the trend."""
MATTERS, LEVEL = 0.3, 0.02
"""Correlation of validations that are a beat apart, and the chance of as much after a shuffle."""
SHUFFLES = 499
TOP = 10


def periodic(evidence: Evidence) -> list[Finding]:
    """Tell whether the validations of each arm's best trials repeat themselves at a beat.

    The last two thirds of each curve count, without their trend. How much are they correlated with
    themselves some validations later, on average over trials? The largest such correlation is held
    against those of shuffled validations; all trials are shuffled alike, since they may share their
    batches. Where the length of an epoch is known and fits in, it is the only beat looked for.

    None of 1,800 simulated rounds in which nothing is wrong, those of the calibration with 20 and
    40 validations a trial, got a false hint, and 1.8 % of 1,600 whose trials share all their noise
    (playbook, H2).
    """
    curves: dict[int, list[tuple[TrialRecord, Floats]]] = {}
    for arm in evidence.arms():
        for record in evidence.completed(arm)[:TOP]:
            values = evidence.curve(record)[1]
            late = values[len(values) // 3 :]
            if len(late) >= FEWEST:
                curves.setdefault(len(late), []).append((record, late))
    if not curves:
        sentence = (
            "Too few validations to see whether they repeat themselves at a beat, as a leak may "
            f"make them: each trial needs {FEWEST * 3 // 2}."
        )
        often = max(1, evidence.round.training.steps * 2 // (3 * FEWEST))
        action = f"set training.evaluate_every to {often} in a new round"
        return [Finding("periodic", "unknown", sentence, {}, "curves", action, playbook="H2")]
    most = max(curves.values(), key=len)
    epoch = _epoch(evidence, most[0][0])
    beats = range(SHORTEST, len(most[0][1]) // CYCLES + 1)
    if epoch and round(epoch) in beats:
        beats = range(round(epoch), round(epoch) + 1)
    beat, strength, chance = _strongest(_detrended(np.stack([late for _, late in most])), beats)
    numbers = {
        "trials": len(most),
        "beat": beat,
        "correlation": strength,
        "chance": chance,
        "validations_an_epoch": epoch,
    }
    if strength < MATTERS or chance > LEVEL:
        sentence = "Validations do not repeat themselves at a beat."
        return [Finding("periodic", "ok", sentence, numbers, "curves", playbook="H2")]
    is_epoch = epoch is not None and abs(beat - epoch) < 0.5
    sentence = (
        f"Validations go up and down every {beat} validations"
        + (", which is an epoch" if is_epoch else "")
        + ": perhaps training data are not shuffled, or leak into validation."
    )
    action = "look at the order of batches, and for utterances that train and validation share"
    return [Finding("periodic", "info", sentence, numbers, "curves", action, playbook="H2")]


def _epoch(evidence: Evidence, record: TrialRecord) -> float | None:
    """Give how many validations there are in an epoch, where the size of the corpus is known."""
    frames = record.environment.get("splits", {}).get("train", {}).get("frames")
    steps, seen = evidence.curve(record, "train/frames_seen")
    if not frames or not len(seen) or not seen[-1]:
        return None
    return float(frames * steps[-1] / seen[-1] / evidence.round.training.evaluate_every)


def _detrended(curves: Floats) -> Floats:
    """Take a cubic trend from curves, and make what is left vary by 1: (trials, validations)."""
    time = np.linspace(-1.0, 1.0, curves.shape[1])
    trend, _ = np.linalg.qr(np.vander(time, DEGREE + 1))
    rest: Floats = curves - curves @ trend @ trend.T
    rest /= np.maximum(rest.std(axis=1, keepdims=True), 1e-12)
    return rest


def _strongest(rest: Floats, beats: range) -> tuple[int, float, float]:
    """Find the beat at which curves are most like themselves, and more so than one either side.

    Args:
        rest: (trials, validations), without their trends, each of variance 1.
        beats: in validations.

    Returns:
        the beat, the correlation, and the chance of one as large among shuffled validations.
    """
    lags = range(beats.start - 1, beats.stop + 1)
    count = rest.shape[1]

    def peak(curves: Floats) -> tuple[int, float]:
        along = [float((curves[:, lag:] * curves[:, : count - lag]).mean()) for lag in lags]
        peaks = [
            (here, beat)
            for beat, before, here, after in zip(beats, along, along[1:], along[2:], strict=False)
            if here > max(before, after)
        ]
        most = max(peaks, default=(0.0, beats.start))[0]
        # What repeats itself does so after twice the time as well.
        first = min((beat for here, beat in peaks if here > 0.8 * most), default=beats.start)
        return first, most

    beat, strength = peak(rest)
    draw = np.random.default_rng(0)
    # What a trend leaves of mere noise goes up and down too, so shuffled curves lose theirs again.
    shuffled = (_detrended(rest[:, draw.permutation(count)]) for _ in range(SHUFFLES))
    higher = sum(peak(curves)[1] >= strength for curves in shuffled)
    return beat, strength, (higher + 1) / (SHUFFLES + 1)
