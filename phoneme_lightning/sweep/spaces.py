"""The spaces that hyperparameters are drawn from: a coordinate in [0, 1) becomes a value."""

import math
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["KINDS", "Categorical", "Int", "Log", "Space", "Uniform"]

NaturalBound = Literal["low", "high", "both"]


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

    def at(self, coordinate: float) -> float:
        """Give the value at a coordinate in [0, 1), never outside the bounds."""
        low, high = math.log(self.low), math.log(self.high)
        return _clip(math.exp(low + coordinate * (high - low)), self.low, self.high)

    def coordinate(self, value: float) -> float:
        """Give the coordinate of a value; below 0 or above 1 where it lies outside."""
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

    def _scale(self) -> Log | Uniform:
        # Half a step beyond either bound, so that every whole number gets its share.
        return (Log if self.log else Uniform)(self.low - 0.5, self.high + 0.5)

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
