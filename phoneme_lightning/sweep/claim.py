"""A trial that a worker has claimed, until it has ended or is taken away."""

from dataclasses import dataclass

__all__ = ["Claim", "LostLease"]


class LostLease(Exception):
    """The trial is not this worker's any more: end its fit, and write nothing."""


@dataclass(frozen=True)
class Claim:
    """A trial that this worker is to run."""

    number: int
    """Its number in the study."""

    trial_id: int
    """Its number in the storage."""

    trial: str
    """Name of the round's trial."""

    attempt: int
    """Which attempt at it, from 1."""
