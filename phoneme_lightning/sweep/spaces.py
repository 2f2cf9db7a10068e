"""The spaces that hyperparameters are drawn from: a coordinate in [0, 1) becomes a value."""

import math
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["KINDS", "Categorical", "Int", "Log", "Space", "Uniform"]

NaturalBound = Literal["low", "high", "both"]

LARGEST = 2**53
"""Whole numbers up to it are themselves as floats too."""


def _check_bounds(space: "Log | Uniform | Int", lowest: float = -math.inf) -> None:
    """Check a number's bounds.

    Raises:
        ValueError: its message begins with the field.
    """
    low, high = space.low, space.high
    for name, bound in (("low", low), ("high", high)):
        if isinstance(bound, int) and abs(bound) > LARGEST:
            raise ValueError(f"{name} is beyond {LARGEST}: give a smaller number")
    if not (math.isfinite(low) and lowest < low):
        raise ValueError(
            f"low is {low}: give a number" + (" above 0 for a logarithm" if lowest == 0 else "")
        )
    if not (math.isfinite(high) and low < high):
        raise ValueError(f"high is {high}: give a number above low, which is {low}")
    if not math.isfinite(high - low):
        raise ValueError(f"high is {high}: give a number less far above low, which is {low}")
    if space.hard is None:
        return
    if len(space.hard) != 2:
        raise ValueError(f"hard is {space.hard}: give [low, high], either of them may be null")
    bottom, top = space.hard
    if not ((bottom is None or bottom <= low) and (top is None or high <= top)):
        raise ValueError(f"hard is {space.hard}: it must enclose [{low}, {high}]")


def _is_within(space: "Log | Uniform | Int", value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return space.low <= value <= space.high


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@dataclass(frozen=True)
class Log:
    """A positive number, even on a logarithmic scale."""

    low: float
    """Smallest value."""

    high: float
    """Largest value."""

    hard: list[float | None] | None = None
    """[low, high] beyond which the bounds must never be moved; null for none."""

    natural_bound: NaturalBound | None = None
    """The bound at which a best value is no sign that the space is too small."""

    def __post_init__(self) -> None:
        _check_bounds(self, lowest=0)

    def holds(self, value: Any) -> bool:
        """Tell whether it is a number within the bounds."""
        return _is_within(self, value)

    def at(self, coordinate: float) -> float:
        """Give the value at a coordinate in [0, 1), never outside the bounds."""
        low, high = math.log(self.low), math.log(self.high)
        return _clip(math.exp(low + coordinate * (high - low)), self.low, self.high)

    def coordinate(self, value: float) -> float:
        """Give the coordinate of a value; below 0 or above 1 where it lies outside."""
        if value <= 0:
            return -math.inf
        low, high = math.log(self.low), math.log(self.high)
        return (math.log(value) - low) / (high - low)


@dataclass(frozen=True)
class Uniform:
    """A number, even on a linear scale."""

    low: float
    """Smallest value."""

    high: float
    """Largest value."""

    hard: list[float | None] | None = None
    """[low, high] beyond which the bounds must never be moved; null for none."""

    natural_bound: NaturalBound | None = None
    """The bound at which a best value is no sign that the space is too small."""

    def __post_init__(self) -> None:
        _check_bounds(self)

    def holds(self, value: Any) -> bool:
        """Tell whether it is a number within the bounds."""
        return _is_within(self, value)

    def at(self, coordinate: float) -> float:
        """Give the value at a coordinate in [0, 1), never outside the bounds."""
        return _clip(self.low + coordinate * (self.high - self.low), self.low, self.high)

    def coordinate(self, value: float) -> float:
        """Give the coordinate of a value; below 0 or above 1 where it lies outside."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Int:
    """A whole number, both bounds included."""

    low: int
    """Smallest value."""

    high: int
    """Largest value."""

    log: bool = False
    """Even on a logarithmic scale."""

    hard: list[int | None] | None = None
    """[low, high] beyond which the bounds must never be moved; null for none."""

    natural_bound: NaturalBound | None = None
    """The bound at which a best value is no sign that the space is too small."""

    def __post_init__(self) -> None:
        _check_bounds(self, lowest=0 if self.log else -math.inf)

    def _scale(self) -> Log | Uniform:
        # Half a step beyond either bound, so that every whole number gets its share.
        return (Log if self.log else Uniform)(self.low - 0.5, self.high + 0.5)

    def holds(self, value: Any) -> bool:
        """Tell whether it is a whole number within the bounds."""
        return _is_within(self, value) and float(value).is_integer()

    def at(self, coordinate: float) -> int:
        """Give the value at a coordinate in [0, 1), never outside the bounds."""
        return int(_clip(round(self._scale().at(coordinate)), self.low, self.high))

    def coordinate(self, value: float) -> float:
        """Give the coordinate of a value; below 0 or above 1 where it lies outside."""
        return self._scale().coordinate(value)


@dataclass(frozen=True)
class Categorical:
    """One of a list, each as likely as the others."""

    choices: list[Any]
    """What may be chosen."""

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("choices is []: give at least one")
        for place, choice in enumerate(self.choices):
            if choice in self.choices[:place]:
                raise ValueError(f"choices has {choice!r} twice: leave one out")

    def holds(self, value: Any) -> bool:
        """Tell whether it is one of the choices."""
        return value in self.choices

    def at(self, coordinate: float) -> Any:
        """Give the choice at a coordinate in [0, 1)."""
        return self.choices[min(int(coordinate * len(self.choices)), len(self.choices) - 1)]

    def coordinate(self, value: Any) -> float:
        """Give the coordinate in the middle of a choice's share.

        Raises:
            ValueError: it is not a choice.
        """
        return (self.choices.index(value) + 0.5) / len(self.choices)


Space = Log | Uniform | Int | Categorical

KINDS: dict[str, type[Space]] = {
    "log": Log,
    "uniform": Uniform,
    "int": Int,
    "categorical": Categorical,
}
