"""`probe lr`: is training stable above its best learning rate?

The playbook's test for an instability that hides between validations (G2: twice the best rate for
500 steps) and for one that limits how high the rate may be (G1: five and ten times).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding, Verdict
from phoneme_lightning.sweep.keys import LEARNING_RATE
from phoneme_lightning.sweep.probes.advice import Advice
from phoneme_lightning.sweep.probes.rounds import EVERY_STEP, make_round
from phoneme_lightning.sweep.probes.stability import ROWS, Stability, fall, stability
from phoneme_lightning.sweep.probes.subject import Subject
from phoneme_lightning.sweep.round import Round, Training

__all__ = [
    "TIMES",
    "Setting",
    "gradient_norms",
    "judge_curves",
    "judge_rates",
    "lr_round",
    "read_setting",
]

Floats = NDArray[np.float64]

TIMES = (1, 2, 5, 10)
"""Multiples of the best rate. At 1 it is the curve that the others are held against."""

NEAR = 2
"""Multiple up to which an instability is near enough to harm the best rate itself."""

GLANCES = 20
"""Validations of a trial."""

SHARE_OF_WARMUP = 0.05
"""Of training, which the playbook gives a warmup."""

SAID = {
    "early": "is unstable early on",
    "mid": "is unstable in mid-training",
    "stuck": "learns nothing",
}


@dataclass(frozen=True)
class Setting:
    """What a subject trains with, as far as the advice must know it."""

    rate: float
    """The best learning rate."""

    warmup: int
    """Steps over which it rises."""

    steps: int
    """Of a whole training; 0 where it is unknown."""

    clip: float | None
    """Norm that gradients are cut to."""


def read_setting(subject: Subject, rate: float | None) -> Setting:
    """Read a subject's setting.

    Args:
        subject: what is probed.
        rate: the best learning rate, where it is another than the subject's.
    """
    if rate is not None and not rate > 0:
        raise InputError(f"--lr is {rate}: give a learning rate above 0")
    return Setting(
        subject.number(LEARNING_RATE) if rate is None else rate,
        int(subject.get("model.warmup_steps", 0)),
        int(subject.get("trainer.max_steps", 0)),
        subject.get("trainer.gradient_clip_val"),
    )


def lr_round(subject: Subject, setting: Setting, steps: int, parallel: int | None) -> Round:
    """Make the round: a trial for each multiple of the best rate, which does not decay.

    Args:
        subject: what is probed.
        setting: of the subject.
        steps: of a trial.
        parallel: trials at once.

    Raises:
        InputError: so few steps tell nothing.
    """
    if steps < ROWS:
        raise InputError(f"--steps is {steps}: give at least {ROWS}")
    return make_round(
        subject,
        "lr",
        f"Is training stable above its best learning rate, {setting.rate:.3g}?",
        {f"{times}x": {LEARNING_RATE: times * setting.rate} for times in TIMES},
        Training(steps, max(1, steps // GLANCES)),
        {"model.schedule": "constant", **EVERY_STEP},
        parallel,
    )


def judge_curves(
    evidence: Evidence, warmups: Mapping[str, int], usual: str | None = None
) -> dict[str, Stability]:
    """Judge the trial of each arm of a probe's round.

    Args:
        evidence: the round.
        warmups: arm -> steps over which its learning rate rises.
        usual: the arm that the others are to learn at least half as much as.
    """
    curves = {trial.arm: _losses(evidence, trial.trial) for trial in evidence.trials}
    known = curves[usual][1] if usual else np.array([])
    known = known[np.isfinite(known)]
    least = fall(known) if len(known) else 0.0
    whole = evidence.round.training.steps
    return {
        trial.arm: stability(*curves[trial.arm], warmups[trial.arm], whole, trial.cause, least)
        for trial in evidence.trials
    }


def _losses(evidence: Evidence, trial: str) -> tuple[Floats, Floats]:
    """Give a trial's training loss at every step, where it was no number too."""
    rows = [row for row in evidence.curves.get(trial, ()) if "train/loss" in row]
    steps, loss = (np.array([row[name] for row in rows]) for name in ("step", "train/loss"))
    return steps, loss


def gradient_norms(evidence: Evidence) -> tuple[float, float] | None:
    """Give the median and the 90th percentile of the gradient's norm at the best rate.

    Args:
        evidence: the probe's round, whose first trial has that rate.
    """
    _, norms = evidence.curve(evidence.trials[0], "train/grad_norm")
    if not len(norms):
        return None
    middle, high = np.quantile(norms, [0.5, 0.9]).tolist()
    return middle, high


def judge_rates(
    setting: Setting, found: Mapping[int, Stability], norms: tuple[float, float] | None, words: str
) -> tuple[Finding, Advice]:
    """Say whether training is stable above its best rate, and what to do if it is not.

    Args:
        setting: of the subject.
        found: multiple of the best rate -> how that training went.
        norms: the median and the 90th percentile of the gradient's norm at the best rate.
        words: what names the subject on the command line.
    """
    numbers: dict[str, Any] = {
        "rate": setting.rate,
        "trainings": {f"{times}x": one.as_dict() for times, one in found.items()},
        "unstable_rate": None,
        "grad_norm_p50": norms and norms[0],
        "grad_norm_p90": norms and norms[1],
    }
    broken = [times for times in sorted(found) if found[times].kind != "stable"]

    def finding(verdict: Verdict, sentence: str, action: str | None = None) -> Finding:
        row = "G2" if broken and broken[0] <= NEAR else "G1"
        return Finding(
            "probe_lr", verdict, sentence, numbers, "losses", action, None, LEARNING_RATE, row
        )

    rate = f"{setting.rate:.3g}"
    if not broken:
        highest = max(found)
        sentence = f"Training is stable up to {highest} times its best learning rate, {rate}: "
        sentence += "instability is not what limits it."
        return finding("ok", sentence), Advice("Nothing is to be changed: training is stable.")
    lowest = broken[0]
    kind, step = found[lowest].kind, found[lowest].step
    if kind == "stuck" and lowest == 1:
        sentence = f"At {rate}, its best learning rate, nothing is learnt in so few steps."
        return finding("unknown", sentence, "give more --steps"), Advice("Nothing is known yet.")
    numbers["unstable_rate"] = lowest * setting.rate
    where = f" (its loss rises from step {step})" if step is not None else ""
    said = f"at {lowest} times that, {lowest * setting.rate:.3g}, it {SAID[kind]}{where}"
    probe = f"phoneme-sweep probe warmup {words}"
    if lowest > NEAR:
        below = max(times for times in found if times < lowest)
        sentence = f"Training is stable at {below} times its best learning rate, {rate}; {said}."
        why = f"Nothing needs to be changed: there is room above the best rate, {rate}."
        return finding("info", sentence, None if kind == "mid" else probe), Advice(why)
    if lowest == 1:
        sentence = f"Training {SAID[kind]} at its own learning rate, {rate}{where}."
    else:
        sentence = f"Training is close to breaking: its best learning rate is {rate}, and {said}."
    if kind == "mid":
        action = "train with the advice, and probe again"
        return finding("warn", sentence, action), _clip(setting, norms)
    return finding("warn", sentence, probe), _warm_up(setting)


def _warm_up(setting: Setting) -> Advice:
    steps = max(2 * setting.warmup, round(SHARE_OF_WARMUP * setting.steps), 10)
    why = (
        "It breaks at the beginning, which a longer warmup mends. So many steps are a guess; "
        "`phoneme-sweep probe warmup` finds the fewest that do."
    )
    return Advice(why, {"model.warmup_steps": steps})


def _clip(setting: Setting, norms: tuple[float, float] | None) -> Advice:
    """Clip at the 90th percentile; where that is done already, lower, and not below the median."""
    middle, high = norms or (0.0, 1.0)
    norm = high if not setting.clip or high < setting.clip else setting.clip / 2
    if norm >= middle:
        why = (
            f"It breaks in mid-training, which clipping mends: 90 % of the gradients at the best "
            f"rate have norms below {high:.3g}, and half of them below {middle:.3g}."
        )
        return Advice(why, {"trainer.gradient_clip_val": float(f"{norm:.3g}")})
    why = (
        "It breaks in mid-training, although more than half of the gradients would be clipped "
        "below the norm in force: a lower learning rate does better than more clipping."
    )
    return Advice(why, {LEARNING_RATE: float(f"{setting.rate / 2:.3g}")})
