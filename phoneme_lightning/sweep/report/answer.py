"""The answer to a round's question, as far as its trials and findings allow one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.isolation import isolation
from phoneme_lightning.sweep.leaderboard import ranked, short_names
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.report.figures.style import number, scored
from phoneme_lightning.sweep.report.html import brief

__all__ = ["Answer", "answer"]


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
    if not order and not evidence.probed:
        return Answer("nothing", "No trial has completed: there is nothing to say.", tuple(details))
    judges = {"confirm": _confirmed, "probe": _probed}
    verdict, sentence = judges.get(round.phase, _compare)(evidence, order)
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
    if verdict != "best" and round.phase not in judges:
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


def _probed(
    evidence: Evidence, order: Sequence[TrialRecord]
) -> tuple[Literal["ahead", "close", "best"], str]:
    """Tell what a probe found."""
    told = evidence.probed
    if told is None:
        return "close", "There is no verdict yet: the same `phoneme-sweep probe` goes on to one."
    return "close" if told.verdict == "warn" else "best", told.sentence


def _compare(
    evidence: Evidence, order: Sequence[TrialRecord]
) -> tuple[Literal["ahead", "close", "best"], str]:
    """Compare the two best arms, as `isolation` judges them; of one, tell its best trial."""
    metric = evidence.round.objective.metric
    if not (compared := isolation(evidence)):
        best = order[0]
        names = short_names(key for trial in evidence.trials for key in trial.values)
        told = ", ".join(f"{names[key]} {number(value)}" for key, value in best.values.items())
        value = number(scored(evidence, best))
        with_what = f" ({told})" if told else ""
        return "best", f"The best trial, {best.trial}, reached a {metric} of {value}{with_what}."
    numbers = compared[0].numbers
    first, second, top = (numbers[name] for name in ("leader", "next", "of_the_best"))
    one, two = (number(numbers["arms"][arm]["top"]) for arm in (first, second))
    of = f" (means of the best {top} points)" if top > 1 else ""
    both = f"a {metric} of {one} against {two}{of}"
    if numbers["clear"]:
        return "ahead", f"{first} is ahead of {second}: {both}, more than luck explains."
    return "close", f"{first} is ahead of {second}, but not surely: {both}, which may be luck."
