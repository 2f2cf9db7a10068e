"""The design of a round: arms x points x seeds."""

from dataclasses import dataclass, field
from typing import Any

from phoneme_lightning.sweep.design_file import (
    Row,
    append_design,
    lock_design,
    read_design,
    write_design,
)
from phoneme_lightning.sweep.spaces import Space

__all__ = ["Arm", "Bucket", "Row", "append_design", "lock_design", "read_design", "write_design"]


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
