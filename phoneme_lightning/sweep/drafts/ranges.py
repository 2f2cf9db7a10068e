"""The ranges of a drafted round: moved, narrowed, or given up."""

from collections.abc import Mapping, Sequence
from typing import Any

from phoneme_lightning.sweep.drafts.draft import Draft
from phoneme_lightning.sweep.drafts.refine import indifferent, refine
from phoneme_lightning.sweep.findings.evidence import Branch, Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.keys import LEARNING_RATE
from phoneme_lightning.sweep.round_parser import build
from phoneme_lightning.sweep.spaces import Categorical, Space

__all__ = ["move_ranges"]


def move_ranges(
    draft: Draft,
    evidence: Evidence,
    findings: Sequence[Finding],
    kept: Sequence[str],
    settled: bool,
) -> None:
    """Refine every range of a draft.

    Args:
        draft: changed in place.
        evidence: the round before.
        findings: on it.
        kept: arms that are searched on.
        settled: whether conditions on arms are resolved, so that a range stands under `nuisance`.
    """
    branches = [branch for branch in evidence.branches() if branch.arm in kept]
    _move(draft, evidence, findings, branches, ("nuisance",), draft.data.get("nuisance", {}))
    for place, part in enumerate(draft.data.get("conditional", [])):
        path = ("conditional", str(place), "nuisance")
        _move(draft, evidence, findings, branches, path, part.get("nuisance", {}))
    if settled:
        _give_up(draft, evidence, branches)


def _move(
    draft: Draft,
    evidence: Evidence,
    findings: Sequence[Finding],
    branches: Sequence[Branch],
    path: tuple[str, ...],
    written: Mapping[str, Any],
) -> None:
    for key, told in written.items():
        space: Space = build(Space, told, f"nuisance.{key}")
        if isinstance(space, Categorical):
            continue
        own = [branch for branch in branches if branch.spaces.get(key) == space]
        refined = refine(evidence, own, key, space, findings)
        if refined.low_because:
            draft.set((*path, key, "low"), refined.space.low, _was(refined.low_because, space.low))
        if refined.high_because:
            draft.set(
                (*path, key, "high"), refined.space.high, _was(refined.high_because, space.high)
            )


def _was(reason: str, bound: float) -> str:
    return f"{reason}; was {bound:g}"


def _give_up(draft: Draft, evidence: Evidence, branches: Sequence[Branch]) -> None:
    """Fix what was tuned and did not matter, with a caveat. The learning rate is never fixed."""
    for key in list(draft.data.get("nuisance", {})):
        own = [branch for branch in branches if key in branch.spaces and len(branch.spaces) > 1]
        if key == LEARNING_RATE or not own or "." not in key:
            continue
        cost = indifferent(evidence, own, key)
        if cost is None:
            continue
        best = max(
            (record for branch in own for record in evidence.completed(branch.arm)[:1]),
            key=evidence.score,
        )
        value = best.values[key]
        space = own[0].spaces[key]
        if isinstance(value, float) and not isinstance(space, Categorical):
            value = min(max(float(f"{value:.3g}"), space.low), space.high)
        del draft.data["nuisance"][key]
        why = f"it hardly mattered in {draft.parent}: {cost:.2g} at most"
        draft.set(("fixed", key), value, why)
        draft.caveat(
            f"{key.rsplit('.', 1)[-1]} is {value}: in {draft.parent} it made a difference of "
            f"{cost:.2g} at most."
        )
