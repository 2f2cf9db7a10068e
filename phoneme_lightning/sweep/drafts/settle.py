"""A question that is answered: what its winner sets becomes fixed."""

from collections.abc import Collection, Mapping
from typing import Any

from phoneme_lightning.sweep.arms import Arm, arms, matches
from phoneme_lightning.sweep.design_file import Row
from phoneme_lightning.sweep.drafts.draft import Draft
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.keys import LENGTH, flatten
from phoneme_lightning.sweep.overrides import leaves, overrides
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.round import Round

__all__ = ["settle"]


def settle(
    draft: Draft,
    evidence: Evidence,
    arm: str,
    base: Mapping[str, Any],
    open_yet: Collection[str] = (),
    is_best: bool = True,
) -> None:
    """Fix what an arm sets: the question that it answers is not asked again.

    Args:
        draft: changed in place.
        evidence: the round.
        arm: the one that is left.
        base: what the base configs give, nested.
        open_yet: keys that are not fixed, nor what stands under them.
        is_best: whether the round found it so, rather than a person.
    """
    round = evidence.round
    if not round.scientific:
        return
    best = evidence.completed(arm)[0]
    chosen = next(one for one in arms(round) if one.name == arm)
    why = f"{arm} led in {round.name}" if is_best else f"{arm} was chosen after {round.name}"
    found = f", as {round.name} found it best." if is_best else f": chosen after {round.name}."
    for key, value in _settled(round, chosen, best, base).items():
        if key == LENGTH:
            draft.set(("training", "steps"), value, why)
        elif not any(f"{key}.".startswith(f"{one}.") for one in open_yet):
            draft.set(("fixed", key), value, why)
            draft.caveat(f"{key.rsplit('.', 1)[-1]} is {value}{found}")
    for key, bucket in chosen.ranges.items():
        if key == LENGTH:
            draft.set(("training", "steps"), best.values[key], f"as long as {best.trial}, the best")
            continue
        place = draft.data["scientific"][key]["range"]
        draft.set(
            ("nuisance", key),
            {**place, "low": bucket.at(0.0), "high": bucket.at(1.0)},
            f"the part of its range that led in {round.name}",
        )
    draft.data.pop("scientific")
    _settle_conditions(draft, round, chosen)


def _settle_conditions(draft: Draft, round: Round, chosen: Arm) -> None:
    """Merge what held for the arm alone, and drop what held for others."""
    kept = []
    for written in draft.data.pop("conditional", []):
        when = dict(written["when"])
        told = ({**chosen.labels, "arm": chosen.name}, chosen.settings)
        about = {key: one for key, one in when.items() if any(key in its for its in told)}
        if not all(matches(told, key, wanted) for key, wanted in about.items()):
            continue
        rest = {key: wanted for key, wanted in when.items() if key not in about}
        if rest:
            kept.append({**written, "when": rest})
            continue
        for part in ("nuisance", "derived", "fixed"):
            for key, value in written.get(part, {}).items():
                draft.set((part, key), value, f"held for {chosen.name} in {round.name}")
    if kept:
        draft.data["conditional"] = kept


def _settled(
    round: Round, chosen: Arm, best: TrialRecord, base: Mapping[str, Any]
) -> dict[str, Any]:
    """Give what an arm sets, by dotted key, whole: a class with its init_args."""
    row = Row(best.trial, best.arm, best.point, best.seed, dict(best.values))
    whole = flatten(overrides(round, row, base))
    wanted = _prefixes(chosen, flatten(base))
    searched = {*best.values.keys() - chosen.values.keys(), *round.derived}
    searched |= {key for part in round.conditional for key in part.derived}
    return {
        key: value
        for key, value in whole.items()
        if key not in searched and any(key == one or key.startswith(f"{one}.") for one in wanted)
    }


def _prefixes(arm: Arm, base: Mapping[str, Any]) -> list[str]:
    """Give what stands under the keys of an arm: a class brings its init_args."""
    keys = leaves(arm.settings, base)
    return [key.removesuffix(".class_path") for key in keys]
