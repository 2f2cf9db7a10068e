"""Whether all trials of a round ran on the same versions, sources, corpus and machine."""

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.leaderboard import mixed

__all__ = ["mixture"]


def mixture(evidence: Evidence) -> list[Finding]:
    """Say what differs between trials that should not, and whether it differs as the arms do.

    Args:
        evidence: the round.
    """
    if not any(record.environment for record in evidence.trials):
        sentence = "No trial has written down what it ran on."
        return [Finding("mixture", "unknown", sentence, playbook="H4")]
    lines = dict(line.split(": ", 1) for line in mixed(evidence.trials))
    if not lines:
        sentence = "All trials ran on the same versions, sources, corpus and kind of machine."
        return [Finding("mixture", "ok", sentence, playbook="H4")]
    told = "; ".join(f"{name}: {values}" for name, values in lines.items())
    sentence = f"Trials of this round differ in what they ran on: {told}."
    # What is the same within every arm can only differ from one arm to another.
    within = {line.split(": ")[0] for arm in evidence.arms() for line in mixed(evidence.of(arm))}
    numbers = {"differs": lines, "with_the_arms": [name for name in lines if name not in within]}
    action = f"phoneme-sweep repro {evidence.round.name} best --check  # the same here?"
    if numbers["with_the_arms"]:
        sentence += (
            f" Each arm has its own {' and '.join(numbers['with_the_arms'])}, so what is taken for "
            "the arms' difference may be this one's."
        )
    return [Finding("mixture", "info", sentence, numbers, action=action, playbook="H4")]
