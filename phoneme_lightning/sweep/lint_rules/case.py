"""What the rules look at: a round, what its base configs say, and what each arm tunes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from phoneme_lightning.sweep.design import Arm, active_spaces, arms
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.overrides import base_settings
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.spaces import Categorical, Space

__all__ = ["Case", "Found", "Rule", "Severity", "largest", "make_case", "names_in"]


Severity = Literal["error", "warning", "info"]

Found = tuple[Severity, str, str]
"""How bad it is, the key, and what is wrong with it and how to mend it."""


@dataclass(frozen=True)
class Case:
    """A round, ready to be judged."""

    round: Round
    """As it was written."""

    written: Mapping[str, Any]
    """Dotted key -> value that the round's overrides and fixed keys give for all arms."""

    settings: Mapping[str, Any]
    """The same over what the base configs give."""

    arms: list[tuple[Arm, dict[str, Space]]]
    """Each arm with what it tunes."""

    @property
    def spaces(self) -> Iterator[tuple[str, Space]]:
        """Every space of the round with its key, once."""
        seen: list[tuple[str, Space]] = []
        everywhere = [self.round.nuisance, *(part.nuisance for part in self.round.conditional)]
        for spaces in everywhere:
            for key, space in spaces.items():
                if (key, space) not in seen:
                    seen.append((key, space))
                    yield key, space

    @property
    def varied(self) -> dict[str, list[Any]]:
        """Scientific key -> its values, none for a range; no part of a choice of class."""
        found: dict[str, list[Any]] = {}
        for arm, _ in self.arms:
            for key, value in arm.settings.items():
                chosen = key.partition(".init_args.")[0] + ".class_path"
                if chosen == key or chosen not in arm.settings:
                    found.setdefault(key, []).append(value)
        ranges = (key for key, one in self.round.scientific.items() if one.range)
        return found | {key: [] for key in ranges}

    def of_arm(self, arm: Arm, key: str) -> Any:
        """Give the value that a key has in an arm before anything is tuned, or None."""
        return {**self.settings, **flatten(arm.settings)}.get(key)

    def optimizer(self, arm: Arm) -> str:
        """Give the class of an arm's optimizer; phoneme-cli's own where no config names one."""
        return str(self.of_arm(arm, "model.optimizer.class_path") or "torch.optim.AdamW")

    def derived(self) -> Iterator[tuple[str, Any]]:
        """Give every derived key with its template, also those of some arms only."""
        for derived in (self.round.derived, *(part.derived for part in self.round.conditional)):
            yield from derived.items()

    def tunes(self, spaces: Mapping[str, Space], key: str) -> bool:
        """Tell whether a key is among these spaces, or made from one that is."""
        made_from = (names_in(template) for name, template in self.derived() if name == key)
        return key in spaces or any(not names.isdisjoint(spaces) for names in made_from)

    def tuned_somewhere(self, key: str) -> bool:
        """Tell whether an arm tunes a key, or the question is about it."""
        return key in self.varied or any(self.tunes(spaces, key) for _, spaces in self.arms)


Rule = Callable[[Case], Iterator[Found]]


def names_in(template: Any) -> set[str]:
    """Give the names that a derived key's template holds."""
    if isinstance(template, list):
        return set().union(*map(names_in, template))
    return set(re.findall(r"[A-Za-z_][\w.]*", template)) if isinstance(template, str) else set()


def largest(space: Space) -> Any:
    """Give the largest value of a space of numbers, else None."""
    if not isinstance(space, Categorical):
        return space.high
    numbers = [choice for choice in space.choices if isinstance(choice, int | float)]
    return max(numbers, default=None)


def make_case(round: Round, configs: Sequence[str | Path]) -> Case:
    """Read the base configs and lay out the arms.

    Raises:
        InputError: a base config is not there.
    """
    written = {**flatten(round.overrides), **flatten(round.fixed)}
    settings = {**flatten(base_settings(configs)), **written}
    laid_out = [(arm, active_spaces(round, arm, arm.values)) for arm in arms(round)]
    return Case(round, written, settings, laid_out)
