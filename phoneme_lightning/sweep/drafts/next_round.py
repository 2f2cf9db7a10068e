"""The next round, drafted from what a round taught."""

import copy
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.arms import arms
from phoneme_lightning.sweep.drafts.carry import lengthen, scale_interval
from phoneme_lightning.sweep.drafts.contenders import contenders
from phoneme_lightning.sweep.drafts.draft import Draft
from phoneme_lightning.sweep.drafts.ranges import LEARNING_RATE, move_ranges
from phoneme_lightning.sweep.drafts.settle import LENGTH, settle
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.overrides import base_settings
from phoneme_lightning.sweep.records import OPEN
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.yaml12 import load_yaml

__all__ = ["begin_draft", "change_steps", "draft_next", "next_name"]


def next_name(name: str) -> str:
    """Name the round after one: what ends in a number counts on."""
    found = re.fullmatch(r"(.*?)(\d+)", name)
    return f"{found[1]}{int(found[2]) + 1}" if found else f"{name}_next"


def begin_draft(folder: RoundFolder, evidence: Evidence, name: str) -> Draft:
    """Copy a round's file into a draft.

    Raises:
        InputError: the round is no explore round, was cut by --quick, has trials to run, or has
            completed none.
    """
    round = evidence.round
    if round.phase != "explore":
        raise InputError(
            f"{round.name} is a round of phase {round.phase}: what comes next is drafted from an "
            "explore round, and its candidates are confirmed"
        )
    if not round.evidence:
        whole = round.name.removesuffix("-quick")
        raise InputError(
            f"--quick cut {round.name} to a demonstration, which is no evidence to draft from: run "
            f"{whole} whole"
        )
    waiting = sum(record.state in OPEN for record in evidence.trials)
    if waiting:
        raise InputError(
            f"{waiting} trials of {round.name} have still to run: phoneme-sweep run {folder.path}"
        )
    if not ranked(evidence.trials, round.objective):
        raise InputError(f"no trial of {round.name} is completed: there is nothing to learn from")
    data = load_yaml(folder.source.read_text(encoding="utf-8"), str(folder.source))
    for key in ("name", "evidence"):
        data.pop(key, None)
    return Draft(name, round.name, copy.deepcopy(data))


def draft_next(
    folder: RoundFolder,
    evidence: Evidence,
    findings: Sequence[Finding],
    *,
    name: str | None = None,
    arm: str | None = None,
    ask: Mapping[str, list[Any]] | None = None,
    question: str | None = None,
    steps: int | None = None,
) -> Draft:
    """Draft the round that follows from a round.

    Arms that are clearly behind are dropped. Where one is left, its setting becomes fixed, with a
    caveat. Bounds move, what did not matter is fixed, points are added and steps are changed as the
    findings say; everything else stays.

    Args:
        folder: of the round.
        evidence: what it holds.
        findings: on it.
        name: of the new round; counted on from the round's if None.
        arm: to go on with alone, though others may be as good.
        ask: what the new round asks about, scientific key -> values, in place of what is settled.
        question: as a sentence.
        steps: of its trials; what the findings say if None.

    Raises:
        InputError: there is nothing to draft from, or what is asked cannot be.
    """
    draft = begin_draft(folder, evidence, name or next_name(evidence.round.name))
    draft.set(("goal", "parent"), evidence.round.name, "what this round follows from")
    base = base_settings(folder.base_configs())
    kept = contenders(evidence, findings)
    if arm is not None:
        kept = _choose(draft, evidence, kept, arm)
    one_left = len(kept) == 1
    if ask and not one_left and evidence.round.scientific:
        raise InputError(
            f"--ask is {', '.join(ask)}, but the question of {evidence.round.name} is open between "
            f"{' and '.join(kept)}: choose with --arm, or draft without --ask to ask it again"
        )
    if one_left:
        settle(draft, evidence, next(iter(kept)), base, is_best=arm is None)
    else:
        _drop_arms(draft, evidence, kept)
    move_ranges(draft, evidence, findings, list(kept), settled=one_left)
    _points(draft, evidence, findings)
    wanted, why = _wanted_steps(evidence.round, findings, steps)
    if wanted != evidence.round.training.steps:
        change_steps(draft, evidence.round, base, wanted, why)
    if ask:
        _ask(draft, ask)
    _goal(draft, evidence, kept, ask, question)
    seed = evidence.round.sampler.seed + 1
    draft.data.setdefault("sampler", {}).pop("points", None)
    draft.data["sampler"].pop("kind", None)
    draft.set(("sampler", "seed"), seed, "points that the round before has not tried")
    draft.notes += [
        f"{one.verdict}: {one.sentence}" + (f" ({one.action})" if one.action else "")
        for one in findings
        if one.verdict in ("block", "warn") and one.rule not in ("boundary", "length", "density")
    ]
    draft.round()
    return draft


def _choose(draft: Draft, evidence: Evidence, kept: Mapping[str, str], arm: str) -> dict[str, str]:
    """Go on with one arm by hand; a caveat says which others may be as good."""
    if arm not in evidence.arms() or not evidence.completed(arm):
        known = " and ".join(one for one in evidence.arms() if evidence.completed(one))
        raise InputError(f"--arm is {arm!r}, which has no completed trial: give one of {known}")
    others = [one for one in kept if one != arm]
    if others:
        draft.caveat(f"{arm} was chosen; {' and '.join(others)} may be as good or better.")
    return {arm: "it was chosen"}


def _drop_arms(draft: Draft, evidence: Evidence, kept: Mapping[str, str]) -> None:
    """Take out values of which every arm is clearly behind."""
    every = arms(evidence.round)
    for key, scientific in evidence.round.scientific.items():
        if scientific.range is not None:
            continue
        left = {arm.labels[key] for arm in every if arm.name in kept}
        gone = list(dict.fromkeys(arm.labels[key] for arm in every if arm.labels[key] not in left))
        if not gone:
            continue
        written = draft.data["scientific"][key]["values"]
        stays: Any
        why = f"{', '.join(gone)} dropped: clearly behind in {evidence.round.name}"
        if isinstance(written, Mapping):
            stays = {name: one for name, one in written.items() if " ".join(name.split()) in left}
        else:
            labels = list(dict.fromkeys(arm.labels[key] for arm in every))
            stays = [one for one, name in zip(written, labels, strict=True) if name in left]
        draft.set(("scientific", key, "values"), stays, why)
        _drop_conditions(draft, key, gone)
    _drop_conditions(draft, "arm", [arm.name for arm in every if arm.name not in kept])


def _drop_conditions(draft: Draft, key: str, gone: Sequence[str]) -> None:
    """Take values that are no more out of the conditions on a key."""
    left = []
    for part in draft.data.pop("conditional", []):
        wanted = part["when"].get(key)
        options = wanted if isinstance(wanted, list) else [wanted]
        stay = [one for one in options if one not in gone]
        if key not in part["when"] or stay:
            if len(stay) < len(options):
                part["when"] = {**part["when"], key: stay}
            left.append(part)
    if left:
        draft.data["conditional"] = left


def _points(draft: Draft, evidence: Evidence, findings: Sequence[Finding]) -> None:
    thin = [one for one in findings if one.rule == "density" and one.verdict == "warn"]
    if thin:
        more = 2 * evidence.round.budget.points
        draft.set(("budget", "points"), more, f"twice as many: {thin[0].sentence.split(';')[0]}")


def _wanted_steps(round: Round, findings: Sequence[Finding], steps: int | None) -> tuple[int, str]:
    before = round.training.steps
    if steps is not None:
        return steps, "as it was asked for"
    for one in findings:
        if one.rule == "length" and one.verdict == "warn":
            longer = one.numbers["best_in_last_quarter"] > 0.5
            why = "most trials were best in the last quarter of training"
            early = "the good trials gained nothing after a tenth of training"
            return (2 * before, why) if longer else (max(1, before // 4), early)
    return before, ""


def change_steps(draft: Draft, round: Round, base: Mapping[str, Any], steps: int, why: str) -> None:
    """Train for another number of steps, and carry the schedule over.

    Args:
        draft: changed in place.
        round: that it was drafted from.
        base: what the base configs give, nested.
        steps: of the new round's trials.
        why: the reason.

    Raises:
        InputError: the round's arms have lengths of their own.
    """
    before = round.training.steps
    if LENGTH in round.scientific and "scientific" in draft.data:
        raise InputError(
            f"{LENGTH} is what {round.name} asks about: change its values in the draft by hand"
        )
    every = scale_interval(round.training.evaluate_every, before, steps)
    draft.set(("training", "steps"), steps, why)
    draft.set(("training", "evaluate_every"), every, "as many validations as before")
    longest = round.budget.trial_time
    if longest:
        time = Duration(f"{math.ceil(longest * steps / before)}s")
        draft.set(("budget", "trial_time"), str(time), "in proportion to the steps")
    rate = draft.data.get("nuisance", {}).get(LEARNING_RATE, {})
    if steps > before and "low" in rate:
        low, lowest = float(f"{rate['low'] * before / steps:.2g}"), (rate.get("hard") or [0])[0]
        why = f"longer fits want smaller rates; was {rate['low']:g}"
        draft.set(("nuisance", LEARNING_RATE, "low"), max(low, lowest or 0), why)
    written = {**draft.data.get("overrides", {}), **draft.data.get("fixed", {})}
    changes, reasons = lengthen({**flatten(base), **flatten(written)}, before, steps)
    for key, value in changes.items():
        draft.set(("overrides", key), value, reasons[key])
    for key, reason in reasons.items():
        for part in ("overrides", "fixed"):
            if key not in changes and key in draft.data.get(part, {}):
                draft.reasons[part, key] = reason
    draft.caveat(
        f"What was learned at {before} steps may not hold at {steps}: the schedule's shape least, "
        "the learning rate and the regularisers somewhat."
    )


def _ask(draft: Draft, ask: Mapping[str, list[Any]]) -> None:
    for key, values in ask.items():
        draft.set(("scientific", key, "values"), values, "what this round asks: one arm each")
        for part in ("overrides", "fixed", "nuisance"):
            draft.data.get(part, {}).pop(key, None)


def _goal(
    draft: Draft,
    evidence: Evidence,
    kept: Mapping[str, str],
    ask: Mapping[str, list[Any]] | None,
    question: str | None,
) -> None:
    first = next(iter(kept))
    if question:
        draft.set(("goal", "question"), question, "as it was asked for")
        if ask:
            draft.set(("goal", "kind"), "try a change", "one thing is varied")
    elif ask:
        names = " and ".join(key.rsplit(".", 1)[-1].replace("_", " ") for key in ask)
        draft.set(("goal", "question"), f"Which {names} is best?", "a new question")
        draft.set(("goal", "kind"), "try a change", "one thing is varied")
    elif len(kept) > 1:
        open_yet = "; ".join(f"{arm}: {why}" for arm, why in list(kept.items())[1:])
        draft.reasons["goal", "question"] = f"asked again ({open_yet})"
    else:
        settled = f"How good does {first} get where its good trials were?"
        if first == "all":
            settled = "How good do trials get where the good ones were?"
        draft.set(("goal", "question"), settled, "nothing is open: a closer look, or --ask anew")
        draft.set(("goal", "kind"), "understand", "nothing is compared")
