"""The arms of a round: every combination of the values of its scientific hyperparameters."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.round import Conditional, Round, Scientific
from phoneme_lightning.sweep.spaces import Space

__all__ = ["Arm", "Bucket", "active_spaces", "arms", "holds", "matches", "shortest_fit"]


@dataclass(frozen=True)
class Bucket:
    """One of the equal parts of a scientific range."""

    space: Space
    """The whole range."""

    index: int
    """Which part, from 0."""

    count: int
    """How many parts there are."""

    def at(self, coordinate: float) -> Any:
        """Give the value at a coordinate in [0, 1) of this part."""
        return self.space.at((self.index + coordinate) / self.count)


@dataclass(frozen=True)
class Arm:
    """A setting of the scientific hyperparameters."""

    name: str
    """Unique in the round and readable; `all` where nothing is scientific."""

    values: dict[str, Any] = field(default_factory=dict)
    """Key -> value as a trial's row has it: a scalar, or the label of anything larger."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Dotted key -> the whole value that it sets."""

    labels: dict[str, str] = field(default_factory=dict)
    """Key -> name of its value, by which `when` may call it."""

    ranges: dict[str, Bucket] = field(default_factory=dict)
    """Key -> the part of a range that its points draw the key from."""


def _label(value: Any) -> str:
    """Name a value: a class by its last word, anything else as it is written."""
    if isinstance(value, str):
        is_path = re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value)
        return value.rpartition(".")[2] if is_path else " ".join(value.split())
    if isinstance(value, Mapping):
        if "class_path" in value:
            return _label(value["class_path"])
        return ", ".join(f"{key.rpartition('.')[2]}={_label(one)}" for key, one in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(_label, value))}]"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _unique(names: Iterable[str]) -> list[str]:
    """Number names that are there before, so that adding one last renames none."""
    seen: list[str] = []
    for name in names:
        number, free = 1, name
        while free.lower() in map(str.lower, seen):
            number += 1
            free = f"{name} {number}"
        seen.append(free)
    return seen


def _alternatives(key: str, scientific: Scientific) -> list[tuple[str, Any]]:
    """Give the values of a key, or the parts of its range, each with its label."""
    if scientific.range is not None:
        count = scientific.buckets
        parts = [Bucket(scientific.range, index, count) for index in range(count)]
        short = key.rpartition(".")[2]
        names = [f"{short} {part.at(0.0):.3g}..{part.at(1.0):.3g}" for part in parts]
        return list(zip(_unique(names), parts, strict=True))
    if isinstance(scientific.values, Mapping):
        return [(" ".join(str(label).split()), one) for label, one in scientific.values.items()]
    return list(zip(_unique(map(_label, scientific.values)), scientific.values, strict=True))


def arms(round: Round) -> list[Arm]:
    """Give the arms of a round, the last scientific key varying fastest.

    One whose values are parts of a range draws the key anew at every point.
    """
    alternatives = [_alternatives(key, one) for key, one in round.scientific.items()]
    combinations = list(product(*alternatives))
    names = _unique("+".join(label for label, _ in one) or "all" for one in combinations)
    made = []
    for name, combination in zip(names, combinations, strict=True):
        arm = Arm(name)
        for key, (label, value) in zip(round.scientific, combination, strict=True):
            arm.labels[key] = label
            if isinstance(value, Bucket):
                arm.ranges[key] = value
                continue
            arm.values[key] = label if isinstance(value, Mapping | list) else value
            arm.settings.update(value if "." not in key else {key: value})
        made.append(arm)
    return made


def shortest_fit(round: Round) -> int:
    """Give the fewest steps that a trial of a round makes."""
    key, steps = "trainer.max_steps", round.training.steps
    fewest = []
    for arm in arms(round):
        own = arm.ranges[key].at(0.0) if key in arm.ranges else flatten(arm.settings).get(key)
        fewest.append(own if isinstance(own, int) else steps)
    return min(fewest)


def holds(conditional: Conditional, arm: Arm, values: Mapping[str, Any]) -> bool:
    """Tell whether a conditional part applies in a trial.

    Args:
        conditional: the part.
        arm: of the trial.
        values: what the trial's hyperparameters are, or those that have been drawn so far.
    """
    told = ({**arm.labels, "arm": arm.name}, arm.settings, values)
    return all(matches(told, key, wanted) for key, wanted in conditional.when.items())


def matches(told: Iterable[Mapping[str, Any]], key: str, wanted: Any) -> bool:
    """Tell whether a condition on a key holds.

    Args:
        told: what is known of a trial, by key; whichever has the key may satisfy the condition.
        key: of the condition.
        wanted: its value, or a list of values.
    """
    options = [*wanted, wanted] if isinstance(wanted, list) else [wanted]
    return any(its[key] in options for its in told if key in its)


def active_spaces(round: Round, arm: Arm, values: Mapping[str, Any]) -> dict[str, Space]:
    """Give the spaces of the nuisance hyperparameters that exist in a trial, by key.

    A conditional space takes the place of another under the same key.

    Args:
        round: the round.
        arm: of the trial.
        values: its hyperparameters, as far as conditions ask for them.
    """
    spaces = dict(round.nuisance)
    for conditional in round.conditional:
        if holds(conditional, arm, values):
            spaces |= conditional.nuisance
    return spaces
