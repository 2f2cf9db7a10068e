"""The answer to a round's question, as far as its trials and findings allow one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.leaderboard import ranked, short_names
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.report.figures.style import number, percent, scored
from phoneme_lightning.sweep.report.html import brief
from phoneme_lightning.sweep.report.lead import lead_share

__all__ = ["Answer", "answer"]

SURE = 0.95
"""Share of redrawn searches that an arm must lead to be called ahead without an `if`."""


@dataclass(frozen=True)
class Answer:
    """What a round answers."""

    verdict: Literal["ahead", "close", "best", "not yet", "no evidence", "nothing"]
    sentence: str
    details: tuple[str, ...]
    """What must be said beside it, a sentence each."""


def answer(evidence: Evidence, findings: Sequence[Finding]) -> Answer:
    """Answer a round's question.

    Args:
        evidence: the round.
        findings: on it; while one blocks there is no answer.
    """
    round = evidence.round
    order = ranked(evidence.trials, round.objective)
    details = []
    waiting = sum(trial.state in ("waiting", "interrupted") for trial in evidence.trials)
    if waiting:
        details.append(f"{waiting} of {len(evidence.trials)} trials have still to run.")
    if not order:
        return Answer("nothing", "No trial has completed: there is nothing to say.", tuple(details))
    confirming = round.phase == "confirm"
    verdict, sentence = (_confirmed if confirming else _compare)(evidence, order)
    if waiting:
        sentence = f"So far: {sentence}"
    blocking = [finding for finding in findings if finding.verdict == "block"]
    if not round.evidence:
        stamp = "No evidence: --quick cut this round to a demonstration."
        return Answer("no evidence", stamp, (sentence, *details))
    if blocking:
        many = "One finding stands" if len(blocking) == 1 else f"{len(blocking)} findings stand"
        told = brief([finding.sentence for finding in blocking])
        return Answer(
            "not yet",
            f"Not to be believed yet: {many} in the way.",
            (*told, f"As it stands: {sentence}", *details),
        )
    if verdict != "best" and not confirming:
        details.append("Fresh seeds of both, in a confirm round, decide whether to adopt it.")
    return Answer(verdict, sentence, tuple(details))


def _confirmed(
    evidence: Evidence, order: Sequence[TrialRecord]
) -> tuple[Literal["ahead", "close", "best"], str]:
    """Tell what fresh seeds decided."""
    told = evidence.confirmation
    if told is None:
        return "close", "There is no verdict yet: the same `phoneme-sweep confirm` goes on to one."
    return "ahead" if told["verdict"] == "ADOPT" else "close", str(told["why"])


def _compare(
    evidence: Evidence, order: Sequence[TrialRecord]
) -> tuple[Literal["ahead", "close", "best"], str]:
    """Compare the best of the two best arms; where there is one arm, tell its best."""
    best, metric = order[0], evidence.round.objective.metric
    names = short_names(key for trial in evidence.trials for key in trial.values)
    told = ", ".join(f"{names[key]} {number(value)}" for key, value in best.values.items())
    second = next((trial for trial in order if trial.arm != best.arm), None)
    value = number(scored(evidence, best))
    if second is None:
        return "best", f"The best trial, {best.trial}, reached a {metric} of {value} ({told})."
    share = lead_share(evidence)[best.arm]
    both = f"a {metric} of {value} against {number(scored(evidence, second))}"
    often = f"in {percent(share)} of searches with their points drawn again"
    if share >= SURE:
        return "ahead", f"{best.arm} is ahead of {second.arm}: {both}, and it would lead {often}."
    return (
        "close",
        f"{best.arm} is ahead of {second.arm}, but not surely: {both}. It would lead {often}.",
    )
