"""`probe steps`: how many steps does it take to fit the training set perfectly?

The playbook's first guess at the length of training (F3): a grid of constant learning rates without
anything that regularises; the fastest of them to a perfect fit tells the steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.classes import defaults_of
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding, Verdict
from phoneme_lightning.sweep.keys import LEARNING_RATE, LENGTH
from phoneme_lightning.sweep.probes.advice import Advice
from phoneme_lightning.sweep.probes.few_utterances import cut_corpus
from phoneme_lightning.sweep.probes.rounds import EVERY_STEP, make_round
from phoneme_lightning.sweep.probes.subject import Subject
from phoneme_lightning.sweep.round import Round, Training

__all__ = [
    "Fit",
    "TrainingSet",
    "first_fit",
    "first_fits",
    "grid",
    "judge_fits",
    "steps_round",
    "training_set",
]

AROUND = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Multiples of the subject's own learning rate."""
VALIDATIONS = 5
BACKBONE = "phoneme_lightning.models.CRNN"
OPTIMIZER = "torch.optim.AdamW"
AUGMENTATION = ("time_masks", "coefficient_masks", "noise", "stretch")
STOP = "phoneme_lightning.sweep.probes.perfect_fit.StopAtPerfectFit"


@dataclass(frozen=True)
class Fit:
    """How far a training came towards a perfect fit."""

    step: int | None
    """Where it was perfect; None where it never was."""

    best: float
    """The best accuracy over an epoch."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingSet:
    """What is to be fitted."""

    batches: int
    """Of an epoch."""

    words: str = ""
    """What part of the training set it is; "" for all of it."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted keys that take it in place of the subject's corpus."""


def training_set(subject: Subject, utterances: int | None, folder: Path) -> TrainingSet:
    """Choose the training set: the subject's, or a few utterances of it.

    Args:
        subject: what is probed.
        utterances: how many; all if None.
        folder: of the corpora that were cut.

    Raises:
        InputError: so many there are not.
    """
    frames = subject.number("data.frames_per_batch")
    if utterances is None:
        return TrainingSet(max(1, round(sum(subject.training_lengths()) / frames)))
    scheme = subject.get("data.split", "utterance")
    path = cut_corpus(subject.store(), scheme, utterances, folder)
    store = FrameStore(path)
    there = int(store.lengths[store.split(scheme, "train")].sum())
    batches = min(max(1, round(there / frames)), utterances)
    words = f"{utterances} utterances of the training set"
    return TrainingSet(batches, words, {"data.corpus": str(path)})


def grid(rate: float) -> list[float]:
    """Give five learning rates around one, as short numbers."""
    return [float(f"{times * rate:.3g}") for times in AROUND]


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Give the mean of each row and those before it, (n - window + 1,), or of all where n is less.

    Args:
        values: (n,), n at least 1.
        window: rows.
    """
    window = min(window, len(values))
    return np.convolve(values, np.full(window, 1 / window), "valid")


def first_fit(
    steps: NDArray[np.float64], accuracy: NDArray[np.float64], window: int, perfect: float
) -> Fit:
    """Find where a training fits its training set.

    Args:
        steps: (n,), of the rows.
        accuracy: (n,), of the training batch of each step.
        window: batches of an epoch: over so many the accuracy is taken.
        perfect: accuracy that counts as a perfect fit.
    """
    if not len(accuracy):
        return Fit(None, 0.0)
    seen = running_mean(accuracy, window)
    there = np.flatnonzero(seen >= perfect)
    is_whole = len(accuracy) >= window
    step = int(steps[int(there[0]) + window - 1]) if is_whole and len(there) else None
    return Fit(step, float(seen.max()))


def first_fits(evidence: Evidence, window: int, perfect: float) -> dict[float, Fit]:
    """Find where each training of a probe's round fits its training set, by learning rate.

    Args:
        evidence: the round.
        window: batches of an epoch.
        perfect: accuracy that counts as a perfect fit.
    """
    curves = {
        float(trial.arm): evidence.curve(trial, "train/frame_accuracy") for trial in evidence.trials
    }
    return {rate: first_fit(*curve, window, perfect) for rate, curve in curves.items()}


def steps_round(
    subject: Subject,
    rates: Sequence[float],
    steps: int,
    perfect: float,
    part: TrainingSet,
    parallel: int | None,
) -> Round:
    """Make the round: a trial for each rate, without augmentation or regularisation.

    Args:
        subject: what is probed.
        rates: constant learning rates.
        steps: at most.
        perfect: accuracy that counts as a perfect fit.
        part: what is to be fitted.
        parallel: trials at once.

    Raises:
        InputError: the rates, the steps or the accuracy are of no use.
    """
    if len(set(rates)) < 3 or min(rates) <= 0:
        raise InputError(f"--rates is {rates}: give at least 3 learning rates above 0")
    if not 0 < perfect <= 1:
        raise InputError(f"--fit is {perfect}: give a share, such as 0.99")
    if steps < part.batches:
        raise InputError(
            f"--steps is {steps}, and an epoch has {part.batches}: give at least that, or fewer "
            "--utterances"
        )
    init_args = {"window": part.batches, "perfect": perfect}
    changes = {
        **_unregularised(subject),
        **part.settings,
        **EVERY_STEP,
        "model.schedule": "constant",
        "trainer.callbacks": [
            *(subject.get("trainer.callbacks") or []),
            {"class_path": STOP, "init_args": init_args},
        ],
    }
    arms = {f"{rate:g}": {LEARNING_RATE: rate} for rate in sorted(set(rates))}
    question = "How many steps does a perfect fit of the training set take?"
    training = Training(steps, max(1, steps // VALIDATIONS))
    return make_round(subject, "steps", question, arms, training, changes, parallel)


def _unregularised(subject: Subject) -> dict[str, Any]:
    """Give the keys that switch augmentation and regularisation off."""
    off: dict[str, Any] = {f"data.augment.{name}": 0 for name in AUGMENTATION}
    off |= {"model.label_smoothing": 0.0, "model.mixup": 0.0, "model.ema_decay": 0.0}
    for part, default, name in (
        ("model.backbone", BACKBONE, "dropout"),
        ("model.optimizer", OPTIMIZER, "weight_decay"),
    ):
        if name in defaults_of(subject.get(f"{part}.class_path", default))[0]:
            off[f"{part}.init_args.{name}"] = 0.0
    return off


def judge_fits(
    found: Mapping[float, Fit], steps: int, perfect: float, part: str
) -> tuple[Finding, Advice]:
    """Guess the length of training from the rate that fits the training set fastest.

    Args:
        found: learning rate -> how far it came.
        steps: that each had at most.
        perfect: accuracy that counts as a perfect fit.
        part: of the training set that was fitted, in words; "" for all of it.
    """
    rates = sorted(found)
    fits = {rate: one.step for rate, one in found.items() if one.step is not None}
    numbers: dict[str, Any] = {
        "perfect": perfect,
        "trainings": {f"{rate:g}": found[rate].as_dict() for rate in rates},
        "rate": None,
        "steps": None,
    }
    what = f"{part or 'the training set'} to {100 * perfect:g} %"

    def finding(verdict: Verdict, sentence: str, action: str | None) -> Finding:
        return Finding(
            "probe_steps",
            verdict,
            sentence,
            numbers,
            "accuracy",
            action,
            None,
            "trainer.max_steps",
            "F3",
        )

    if not fits:
        best = max(rates, key=lambda rate: found[rate].best)
        sentence = (
            f"No learning rate fits {what} within {steps} steps; {best:g} came "
            f"nearest, with {100 * found[best].best:.1f} %."
        )
        action = "give more --steps, fewer --utterances, or a larger net"
        return finding("unknown", sentence, action), Advice(f"Nothing is advised: {sentence}")
    fastest = min(fits, key=lambda rate: (fits[rate], rate))
    numbers |= {"rate": fastest, "steps": fits[fastest]}
    sentence = f"A learning rate of {fastest:g} fits {what} in {fits[fastest]} steps, the fastest"
    if part:
        why = f"{sentence}. All of the training set takes more, so no length is advised."
        advice = Advice(why)
    else:
        why = (
            f"{sentence}: a first guess at the length of training (in a round: training.steps). "
            "With dropout, augmentation or noise it takes more."
        )
        advice = Advice(why, {LENGTH: fits[fastest]})
    if fastest in (rates[0], rates[-1]):
        further = fastest / 3 if fastest == rates[0] else fastest * 3
        sentence += f", but {fastest:g} is at the edge of the grid: another may be faster still."
        added = " ".join(f"{rate:g}" for rate in sorted([*rates, float(f"{further:.3g}")]))
        return finding("warn", sentence, f"probe again with --rates {added}"), advice
    return finding("info", f"{sentence} of {len(rates)} rates.", None), advice
