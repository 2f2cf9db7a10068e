"""`probe warmup`: the shortest warmup that keeps a high learning rate stable.

The playbook's ladder (G4): the rate rises to ten times the one that is unstable without, over
warmups that differ by orders of magnitude and take a tenth of training at most, and then stays for
twice the warmup. The shortest after which training is stable is prepended to the schedule.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.findings.finding import Finding, Verdict, read_finding
from phoneme_lightning.sweep.keys import LEARNING_RATE, WARMUP
from phoneme_lightning.sweep.probes.advice import Advice
from phoneme_lightning.sweep.probes.rounds import EVERY_STEP, make_round
from phoneme_lightning.sweep.probes.stability import Stability
from phoneme_lightning.sweep.probes.subject import Subject
from phoneme_lightning.sweep.round import Round, Training

__all__ = ["base_rate", "judge_ladder", "ladder", "warmup_round"]

FIRST = 10
"""Steps of the shortest warmup."""
MOST = 0.1
"""Share of training that a warmup takes at most, and half of that, which asks for more steps."""
AFTER = 2
"""Steps at the full rate after a warmup, as a multiple of it."""


def ladder(steps: int) -> list[int]:
    """Give the warmups to try: 10, 100, 1,000 and so on, and at last a tenth of training.

    Args:
        steps: of a whole training.

    Raises:
        InputError: a tenth is less than the shortest.
    """
    most = int(MOST * steps)
    if most < FIRST:
        raise InputError(f"--steps is {steps}: give at least {round(FIRST / MOST)}")
    rungs = [FIRST]
    while rungs[-1] * 10 <= most:
        rungs.append(rungs[-1] * 10)
    return [*rungs, most] if most >= 2 * rungs[-1] else rungs


def base_rate(name: str, unstable: float | None, times: float, root: Path) -> float:
    """Give the learning rate that the warmups end at.

    Args:
        name: of the subject.
        unstable: learning rate at which training is unstable; the lowest that the newest `probe
            lr` of the subject found so if None.
        times: how many times that rate.
        root: folder of all rounds.

    Raises:
        InputError: there was no such probe, or it found none; or a rate is not above 0.
    """
    for option, value in (("--unstable", unstable), ("--times", times)):
        if value is not None and not value > 0:
            raise InputError(f"{option} is {value}: give a number above 0")
    if unstable is None:
        unstable = _found_unstable(name, root)
    return float(f"{times * unstable:.3g}")


def _found_unstable(name: str, root: Path) -> float:
    files = root.glob(f"{name}-probe-lr*/finding.json")
    found = max(files, key=lambda file: file.stat().st_mtime, default=None)
    if found is None:
        raise InputError(
            f"--unstable is missing, and no `probe lr` of {name} has ended under {root}: give a "
            "learning rate at which training is unstable, or run `phoneme-sweep probe lr` first"
        )
    told = read_finding(found.parent)
    rate = told.numbers.get("unstable_rate") if told else None
    if rate is None:
        raise InputError(
            f"{found.parent.name} found training stable, so it needs no longer warmup: give "
            "--unstable RATE to look at a higher one"
        )
    return float(rate)


def warmup_round(subject: Subject, base: float, rungs: list[int], parallel: int | None) -> Round:
    """Make the round: a trial for each warmup, three times as long as it.

    Args:
        subject: what is probed.
        base: the learning rate that the warmups end at.
        rungs: the warmups.
        parallel: trials at once.
    """
    arms = {f"{rung}": {WARMUP: rung, "trainer.max_steps": (1 + AFTER) * rung} for rung in rungs}
    longest, shortest = (1 + AFTER) * rungs[-1], (1 + AFTER) * rungs[0]
    changes = {LEARNING_RATE: base, "model.schedule": "constant", **EVERY_STEP}
    question = f"How short a warmup keeps a learning rate of {base:.3g} stable?"
    training = Training(longest, shortest)
    return make_round(subject, "warmup", question, arms, training, changes, parallel)


def judge_ladder(
    base: float, steps: int, warmup: int, found: Mapping[int, Stability]
) -> tuple[Finding, Advice]:
    """Choose the shortest warmup from which on all are stable.

    Args:
        base: the learning rate that they end at.
        steps: of a whole training.
        warmup: steps of the warmup that it has now.
        found: warmup -> how training went with it.
    """
    stable: list[int] = []
    for rung in sorted(found, reverse=True):
        if found[rung].kind != "stable":
            break
        stable.append(rung)
    numbers: dict[str, Any] = {
        "rate": base,
        "trainings": {str(rung): one.as_dict() for rung, one in found.items()},
        "warmup_steps": stable[-1] if stable else None,
    }

    def finding(verdict: Verdict, sentence: str, action: str | None = None) -> Finding:
        row = "G4"
        return Finding(
            "probe_warmup", verdict, sentence, numbers, "losses", action, None, WARMUP, row
        )

    most, rate = max(found), f"{base:.3g}"
    if not stable:
        sentence = f"No warmup of up to {most} steps keeps a learning rate of {rate} stable."
        action = "clip gradients (trainer.gradient_clip_val), or probe again with a lower --times"
        why = f"No warmup is advised: none of up to {most} steps was long enough."
        return finding("warn", sentence, action), Advice(why)
    shortest = stable[-1]
    total = steps - warmup + shortest
    needed = round(shortest / (MOST / 2))
    numbers |= {"share": shortest / total, "steps": max(total, needed)}
    sentence = (
        f"{shortest} steps are the shortest warmup tried that keeps a learning rate of {rate} "
        "stable"
    )
    why = (
        f"The warmup comes before the schedule as it is, so training grows from {steps} to {total} "
        "steps (in a round: training.steps). A stabler training may have a higher best learning "
        "rate: tune it anew, with the upper bound moved up."
    )
    if needed <= total:
        advice = Advice(why, {WARMUP: shortest, "trainer.max_steps": total})
        return finding("info", f"{sentence}."), advice
    sentence += f"; that is {100 * shortest / total:.0f} % of training, so train longer."
    why += f" A warmup of more than 5 % of training asks for more steps: {needed} of them."
    advice = Advice(why, {WARMUP: shortest, "trainer.max_steps": needed})
    return finding("warn", sentence, f"training.steps: {needed}"), advice
