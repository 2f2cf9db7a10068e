"""How much of training the learning rate spends on its way up."""

import math

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding, Verdict
from phoneme_lightning.sweep.keys import LENGTH, WARMUP

__all__ = ["warmup"]

MUCH, TOO_MUCH = 0.05, 0.1
"""Shares of training (playbook, G4)."""


def warmup(evidence: Evidence) -> list[Finding]:
    """Tell what share of training is warmup, of each arm's best trial, once where all are alike."""
    seen: dict[str, tuple[int, int]] = {}
    for arm in evidence.arms():
        for record in evidence.completed(arm)[:1]:
            settings = evidence.settings.get(record.trial, {})
            steps = settings.get(LENGTH) or evidence.round.training.steps
            if isinstance(settings.get(WARMUP), int | float) and steps > 0:
                seen[arm] = int(settings[WARMUP]), int(steps)
    if not seen:
        sentence = f"No completed trial says what its {WARMUP} was."
        return [Finding("warmup", "unknown", sentence, playbook="G4")]
    tuned = {key for record in evidence.trials for key in record.values} & {WARMUP, LENGTH}
    if len(set(seen.values())) == 1 and not tuned:
        return [_judge(*next(iter(seen.values())), None, evidence.round.name)]
    return [_judge(*its, arm, evidence.round.name) for arm, its in seen.items()]


def _judge(steps: int, of: int, arm: str | None, round: str) -> Finding:
    share = steps / of
    numbers = {"warmup_steps": steps, "steps": of, "share": share}
    whose = f"The best trial of {arm}" if arm else "Training"
    if not steps:
        sentence = f"{whose} has no warmup: its learning rate is at its peak from the first step."
    else:
        sentence = f"{whose} spends {steps:,} of its {of:,} steps ({share:.0%}) on warmup"
        if share > TOO_MUCH:
            sentence += ": far too many, since its learning rate only rises in them."
        elif share > MUCH:
            sentence += ": so long a warmup wants a longer training."
        else:
            sentence += "."
    action = None
    if share > MUCH:
        wanted = f"phoneme-sweep next-round {round} --steps {math.ceil(steps / MUCH)}"
        action = f"{wanted}  # or with {WARMUP}: {int(MUCH * of)} in its overrides"
    verdict: Verdict = "info" if share > MUCH else "ok"
    return Finding("warmup", verdict, sentence, numbers, "curves", action, arm, None, "G4")
