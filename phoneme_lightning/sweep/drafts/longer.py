"""Few long fits of what many short ones found best."""

from collections.abc import Sequence

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.drafts.contenders import contenders
from phoneme_lightning.sweep.drafts.draft import Draft
from phoneme_lightning.sweep.drafts.next_round import begin_draft, change_steps
from phoneme_lightning.sweep.drafts.settle import settle
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.keys import LENGTH
from phoneme_lightning.sweep.overrides import base_settings

__all__ = ["draft_longer"]


def draft_longer(
    folder: RoundFolder,
    evidence: Evidence,
    findings: Sequence[Finding],
    *,
    name: str | None = None,
    steps: int,
    points: int = 3,
) -> Draft:
    """Draft a round that trains a round's best points longer, its schedule carried over.

    (Google's tuning playbook: tune in short rounds, then make very few long runs.)

    Args:
        folder: of the round.
        evidence: what it holds.
        findings: on it.
        name: of the new round; the round's with a suffix if None.
        steps: of its trials.
        points: how many of the best points of the leading arm.

    Raises:
        InputError: there is nothing to draft from, or it would not be longer.
    """
    round = evidence.round
    if points < 1:
        raise InputError(f"--points is {points}: give at least 1")
    draft = begin_draft(folder, evidence, name or f"{round.name}_long")
    kept = contenders(evidence, findings)
    first = next(iter(kept))
    base = base_settings(folder.base_configs())
    draft.set(("goal", "parent"), round.name, "what this round follows from")
    question = f"How good do the best points of {round.name} get in {steps} steps?"
    draft.set(("goal", "question"), question, "few long fits after many short ones")
    draft.set(("goal", "kind"), "understand", "nothing is searched")
    if len(kept) > 1:
        draft.caveat(f"{' and '.join(list(kept)[1:])} may be as good as {first}.")
    settle(draft, evidence, first, base)
    before = draft.data["training"]["steps"]
    if steps <= before:
        raise InputError(f"--to is {steps}, and {round.name} trained for {before} steps: give more")
    change_steps(draft, round, base, steps, "as it was asked for")
    best = [same[0] for same in evidence.by_point(evidence.completed(first))[:points]]
    arm_keys = {key for key, one in round.scientific.items() if one.range is None} | {LENGTH}
    listed = [
        {key: value for key, value in record.values.items() if key not in arm_keys}
        for record in best
    ]
    names = ", ".join(record.trial for record in best)
    if any(listed):
        draft.set(("sampler",), {"kind": "list", "points": listed}, f"the best of {first}: {names}")
    draft.set(("budget", "points"), len(listed), "the best points alone")
    draft.round()
    return draft
