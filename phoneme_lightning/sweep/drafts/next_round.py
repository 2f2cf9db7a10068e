"""The next round, drafted from what a round taught."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.arms import arms
from phoneme_lightning.sweep.drafts.carry import DECAY, SCHEDULE, lengthen, scale_interval
from phoneme_lightning.sweep.drafts.contenders import contenders
from phoneme_lightning.sweep.drafts.draft import Draft
from phoneme_lightning.sweep.drafts.ranges import move_ranges
from phoneme_lightning.sweep.drafts.settle import settle
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.keys import LEARNING_RATE, LENGTH, flatten
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
    file = folder.source if folder.source.is_file() else folder.round
    data = load_yaml(file.read_text(encoding="utf-8"), str(file))
    for key in ("name", "evidence"):
        data.pop(key, None)
    return Draft(name, round.name, data)


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
    wanted, why = _wanted_steps(draft, evidence.round, findings, steps)
    if wanted != draft.data["training"]["steps"]:
        change_steps(draft, evidence.round, base, wanted, why)
    if ask:
        _ask(draft, ask)
    if not any(part.get("nuisance") for _, part in _parts(draft)):
        draft.set(("budget", "points"), 1, "nothing is drawn")
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
        values = [arm.settings[key] for arm in every if arm.labels[key] in gone and "." in key]
        _drop_conditions(draft, key, [*gone, *values])
    _drop_conditions(draft, "arm", [arm.name for arm in every if arm.name not in kept])


def _drop_conditions(draft: Draft, key: str, gone: Sequence[Any]) -> None:
    """Take values that are no more out of the conditions on a key."""
    left = []
    for part in draft.data.pop("conditional", []):
        wanted = part["when"].get(key)
        options = wanted if isinstance(wanted, list) and wanted not in gone else [wanted]
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


def _wanted_steps(
    draft: Draft, round: Round, findings: Sequence[Finding], steps: int | None
) -> tuple[int, str]:
    before: int = draft.data["training"]["steps"]
    if steps is not None:
        return steps, "as it was asked for"
    if _asks_for_lengths(draft, round):
        return before, ""
    for one in findings:
        if one.rule == "length" and one.verdict == "warn":
            longer = one.numbers["best_in_last_quarter"] > 0.5
            why = "most trials were best in the last quarter of training"
            early = "the good trials gained nothing after a tenth of training"
            return (2 * before, why) if longer else (max(1, before // 4), early)
    return before, ""


def _asks_for_lengths(draft: Draft, round: Round) -> bool:
    """Tell whether the arms of a draft have lengths of their own."""
    own = any(LENGTH in arm.settings or LENGTH in arm.ranges for arm in arms(round))
    return own and "scientific" in draft.data


def _parts(draft: Draft) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Give what holds everywhere, and each part that holds conditionally, with its path."""
    conditional = enumerate(draft.data.get("conditional", []))
    return [((), draft.data), *((("conditional", str(place)), part) for place, part in conditional)]


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
    before = draft.data["training"]["steps"]
    if _asks_for_lengths(draft, round):
        raise InputError(
            f"{LENGTH} is what {round.name} asks about: change its values in the draft by hand"
        )
    every = scale_interval(draft.data["training"]["evaluate_every"], before, steps)
    draft.set(("training", "steps"), steps, why)
    draft.set(("training", "evaluate_every"), every, "as many validations as before")
    longest = round.budget.trial_time
    if longest:
        time = Duration(f"{math.ceil(longest * steps / before)}s")
        draft.set(("budget", "trial_time"), str(time), "in proportion to the steps")
    if steps > before:
        _lower_rates(draft, before / steps)
    _carry_schedule(draft, base, before, steps)
    draft.caveat(
        f"What was learned at {before} steps may not hold at {steps}: the schedule's shape least, "
        "the learning rate and the regularisers somewhat."
    )


def _lower_rates(draft: Draft, share: float) -> None:
    for path, part in _parts(draft):
        rate = part.get("nuisance", {}).get(LEARNING_RATE, {})
        if "low" not in rate:
            continue
        lowest = (rate.get("hard") or [None])[0]
        low = max(float(f"{rate['low'] * share:.2g}"), lowest or 0)
        if low < rate["low"]:
            place = (*path, "nuisance", LEARNING_RATE, "low")
            known = draft.reasons.get(place)
            why = f"longer fits want smaller rates than {rate['low']:g}"
            draft.set(place, low, f"{why} ({known})" if known else why)


def _carry_schedule(draft: Draft, base: Mapping[str, Any], before: int, steps: int) -> None:
    data = draft.data
    written = {**data.get("overrides", {}), **data.get("fixed", {})}
    changes, reasons = lengthen({**flatten(base), **flatten(written)}, before, steps)
    searched = {*data.get("scientific", {}), *data.get("nuisance", {}), *data.get("derived", {})}
    if SCHEDULE in searched:  # one length of the decay cannot suit every shape
        changes.pop(DECAY, None)
        draft.caveat(f"Every schedule is stretched over {steps} steps, a linear decay as well.")
    for key, reason in reasons.items():
        part = "fixed" if key in data.get("fixed", {}) else "overrides"
        if key in changes and key not in searched:
            draft.set((part, key), changes[key], reason)
        elif key in data.get(part, {}):
            draft.reasons[part, key] = reason


def _ask(draft: Draft, ask: Mapping[str, list[Any]]) -> None:
    for key, values in ask.items():
        draft.set(("scientific", key, "values"), values, "what this round asks: one arm each")
        for _, part in _parts(draft):
            for role in ("nuisance", "derived"):
                part.get(role, {}).pop(key, None)
            for role in ("overrides", "fixed"):  # a class's own arguments go with it
                known = part.get(role, {})
                for one in [one for one in known if f"{one}.".startswith(f"{key}.")]:
                    del known[one]


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
