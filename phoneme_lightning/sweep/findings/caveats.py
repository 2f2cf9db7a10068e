"""For which settings alone the answer is known to hold."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import fdtrc

from phoneme_lightning.sweep.arms import arms
from phoneme_lightning.sweep.findings.evidence import Branch, Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.isolation import lead
from phoneme_lightning.sweep.findings.statistics import FREE, spread
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.round import Round

__all__ = ["caveats", "mattered"]

LEVEL = 0.05
TOP = 3
"""How many of the best points of an earlier round are named."""


def caveats(evidence: Evidence) -> list[Finding]:
    """List what is held fixed, and what of it mattered in the rounds that this one follows from.

    Args:
        evidence: the round, and the rounds before it.
    """
    found = [_own(evidence.round)]
    held = _held(evidence)
    tests = {
        (key, parent.round.name): _judge(key, value, parent, evidence.round.name)
        for parent in evidence.parents
        for key, value in held.items()
        if any(key in record.values for record in parent.trials)
    }
    told = set()
    for (key, _), (chance, finding) in tests.items():
        if chance * len(tests) < LEVEL and key not in told:
            told.add(key)
            found.append(finding)
    return found + _missing(evidence)


def mattered(key: str, evidence: Evidence) -> float:
    """Give the chance that the objective depends on a hyperparameter as much through luck.

    A number: by the F test of its terms in the parabola of all numbers, within each arm, the
    clearest arm counting. A choice, or a part of a scientific range: by how the best points of its
    best value lead those of its worst, as `isolation` judges arms.

    Args:
        key: which hyperparameter.
        evidence: a round that varied it.
    """
    branches = [branch for branch in evidence.branches() if key in branch.spaces]
    if branches:
        return min(1.0, *(len(branches) * _by_surface(key, evidence, one) for one in branches))
    done = [record for arm in evidence.arms() for record in evidence.completed(arm)]
    buckets = {arm.name: arm.ranges[key].index for arm in arms(evidence.round) if key in arm.ranges}
    trials = [
        replace(one, arm=str(buckets.get(one.arm, one.values[key])))
        for one in done
        if key in one.values
    ]
    by_value = replace(evidence, trials=trials)
    scores = {record.trial: evidence.score(record) for record in done}
    tops = {
        value: np.sort(evidence.scores(by_value.completed(value)))[-TOP:].mean()
        for value in by_value.arms()
    }
    if len(tops) < 2:
        return 1.0
    first, last = max(tops, key=tops.__getitem__), min(tops, key=tops.__getitem__)
    return min(1.0, len(tops) * (len(tops) - 1) * lead(by_value, first, last, scores))


def _by_surface(key: str, evidence: Evidence, branch: Branch) -> float:
    points, scores = evidence.completed_points(branch)
    free = len(points) - 2 * len(branch.spaces) - 1
    if free < FREE:
        return 1.0
    others = np.delete(points, list(branch.spaces).index(key), axis=1)
    rest, without = free * spread(points, scores) ** 2, (free + 2) * spread(others, scores) ** 2
    return float(fdtrc(2, free, max(0.0, (without - rest) / 2) / (rest / free)))


def _judge(key: str, value: Any, parent: Evidence, here: str) -> tuple[float, Finding]:
    """Give the chance that a key mattered in an earlier round by luck, and what to say if not."""
    chance, name = mattered(key, parent), parent.round.name
    points = [
        (float(parent.scores(same).mean()), same[0].values[key])
        for arm in parent.arms()
        for same in parent.by_point(parent.completed(arm))
        if key in same[0].values
    ]
    best = [one for _, one in sorted(points, key=lambda point: -point[0])[:TOP]]
    numbers = {"round": name, "held": value, "chance": chance, "best_there": best}
    among = _among(value, best)
    sentence = (
        f"{key} is held at {value} here. It mattered in {name}, where the best {TOP} points had "
        f"{_span(best)}{'' if among else ', which is another value'}: the answer holds for the "
        "value held."
    )
    action = None if among else f"phoneme-sweep next-round {here}  # with {key} under nuisance"
    return chance, Finding("caveats", "info", sentence, numbers, None, action, None, key, "C1")


def _tunes(round: Round) -> set[str]:
    """Give the keys of phoneme-cli that a round varies."""
    found = {*round.scientific, *round.nuisance, *round.derived}
    for part in round.conditional:
        found |= {*part.nuisance, *part.derived}
    for arm in arms(round):
        found |= set(arm.settings)
    return {key for key in found if "." in key}


def _held(evidence: Evidence) -> dict[str, Any]:
    """Give what the best trial was trained with and this round does not vary, of what others did.

    A key that no config or override names stands at its default, and is not seen.
    """
    best = ranked(evidence.trials, evidence.round.objective)[:1]
    settings: Mapping[str, Any] = evidence.settings.get(best[0].trial, {}) if best else {}
    own = _tunes(evidence.round)
    held = {}
    for key in sorted({key for parent in evidence.parents for key in _tunes(parent.round)}):
        value = settings.get(key, settings.get(f"{key}.class_path"))
        inside = any(f"{key}.".startswith(f"{one}.") or one.startswith(f"{key}.") for one in own)
        if value is not None and not inside:
            held[key] = value
    return held


def _own(round: Round) -> Finding:
    numbers = {"fixed": round.fixed, "caveats": round.caveats, "steps": round.training.steps}
    parts = [f"{key} at {value}" for key, value in round.fixed.items()]
    told = " and ".join([*parts, f"{round.training.steps:,} steps"])
    sentence = f"The answer was found with {told}; with others it may be another."
    if round.caveats:
        sentence += f" The round's own caveats: {' '.join(round.caveats)}"
    return Finding("caveats", "info", sentence, numbers, playbook="C1")


def _missing(evidence: Evidence) -> list[Finding]:
    line = [evidence.round, *(parent.round for parent in evidence.parents)]
    name = line[-1].goal.parent
    if name is None or name in {round.name for round in line}:
        return []
    sentence = (
        f"{line[-1].name} follows from {name}, which is not here, so what mattered in it is not "
        "known."
    )
    action = f"copy the folder of {name} beside this round's"
    return [Finding("caveats", "unknown", sentence, {"round": name}, None, action, playbook="C1")]


def _span(values: Sequence[Any]) -> str:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return f"{min(values):.3g} to {max(values):.3g}"
    return " or ".join(dict.fromkeys(map(str, values)))


def _among(value: Any, best: Sequence[Any]) -> bool:
    if isinstance(value, int | float) and all(isinstance(one, int | float) for one in best):
        return bool(min(best) <= value <= max(best))
    return any(str(value) == str(one) or str(value).endswith(f".{one}") for one in best)
