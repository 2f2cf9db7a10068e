"""A side of a comparison; here a round, one of its arms, or one of its trials, at its best."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.settings import settings_of
from phoneme_lightning.sweep.folder import RoundFolder, find_round
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.records import TrialRecord, read_records
from phoneme_lightning.sweep.round import Objective, Round
from phoneme_lightning.sweep.round_parser import suggest

__all__ = ["RoundSide", "Side", "at_home", "find_side", "score"]


@dataclass(frozen=True)
class Side(ABC):
    """What is compared."""

    name: str
    """As it was asked for."""

    path: Path
    """Where it was found."""

    searched: Sequence[TrialRecord]
    """Completed trials among which the best was chosen."""

    trials: Sequence[TrialRecord]
    """The best point of them, a trial a seed."""

    objective: Objective
    """What both sides are measured by."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any] | None:
        """Give what its best was trained with, by dotted key; None where nothing was trained."""

    @property
    def value(self) -> float:
        """The objective, averaged over the seeds of the best point."""
        return float(np.mean([score(one, self.objective) for one in self.trials]))

    def by_seed(self) -> Mapping[int, float]:
        """Give the objective of each seed of the best point."""
        return {one.seed: score(one, self.objective) for one in self.trials}

    def by_point(self) -> Mapping[tuple[str, int], float]:
        """Give the objective of each arm and point that was searched, averaged over seeds."""
        points: dict[tuple[str, int], list[float]] = {}
        for one in self.searched:
            points.setdefault((one.arm, one.point), []).append(score(one, self.objective))
        return {point: float(np.mean(each)) for point, each in points.items()}


@dataclass(frozen=True)
class RoundSide(Side):
    """A round, or a part of it."""

    round: Round
    """What the round is."""

    @property
    def folder(self) -> RoundFolder:
        """The round's folder."""
        return RoundFolder(self.path)

    def settings(self) -> Mapping[str, Any]:
        """Give what its best point was trained with, by dotted key."""
        return settings_of(self.folder, self.round, self.trials[0])


def score(record: TrialRecord, objective: Objective) -> float:
    """Give the objective of a trial, in its own unit.

    Raises:
        InputError: nothing was measured.
    """
    if record.measured is None:
        raise InputError(f"{record.trial} has no {objective.metric}: it was never validated")
    return record.measured.by(objective.selection)


def find_side(name: str, root: Path, objective: Objective | None = None) -> RoundSide:
    """Find what is to be compared.

    Args:
        name: ROUND, ROUND:ARM or ROUND:TRIAL, where a round is a name or a folder; or the folder
            of a trial.
        root: folder of all rounds.
        objective: what to measure by; the round's own, if None.

    Raises:
        InputError: there is no such thing, or none of it has completed.
    """
    folder, part = _resolve(name, root)
    round = load_round(folder)
    objective = objective or round.objective
    records = read_records(folder, objective, round.retry.attempts)
    chosen = [one for one in records if part in (None, one.arm, one.trial)]
    if not chosen:
        known = list(dict.fromkeys(one.arm for one in records))
        raise InputError(
            f"{folder.name} has no arm or trial {part!r}: give an arm ({suggest(part, known)}), or "
            "a trial of `phoneme-sweep leaderboard`"
        )
    done = [
        one for one in chosen if one.state == "completed" and one.measured and not one.stopped_early
    ]
    if not done:
        raise InputError(
            f"{name}: no trial of it has completed with a {objective.metric}: "
            f"phoneme-sweep status {folder.path}"
        )
    return RoundSide(name, folder.path, done, _best_point(done, objective), objective, round)


def at_home(folder: RoundFolder, root: Path) -> tuple[RoundFolder, Path]:
    """Go where a round began, and give its folder and the one of all rounds as they are there.

    Args:
        folder: of the round.
        root: folder of all rounds; the round may be kept elsewhere.
    """
    is_in_root = folder.path.parent.resolve() == root.resolve()
    there = RoundFolder(os.path.relpath(folder.go_home().path))
    return there, there.path.parent if is_in_root else root


def _resolve(name: str, root: Path) -> tuple[RoundFolder, str | None]:
    """Tell a round from the part of it that is asked for."""
    path = Path(name)
    for place in (path, *path.parents):
        if place.parent.name == "trials" and (place.parents[1] / "round.yaml").is_file():
            return RoundFolder(place.parents[1]), place.name
    round, colon, part = name.partition(":")
    if colon and not part:
        raise InputError(f"{name!r} ends with a colon: give ROUND:ARM or ROUND:TRIAL")
    return find_round(round, root), part or None


def _best_point(done: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Give the seeds of the best of the points that completed with the most seeds."""
    points: dict[tuple[str, int], list[TrialRecord]] = {}
    for one in done:
        points.setdefault((one.arm, one.point), []).append(one)
    most = max(map(len, points.values()))
    sign = 1 if objective.mode == "max" else -1
    return max(
        (same for same in points.values() if len(same) == most),
        key=lambda same: sign * float(np.mean([score(one, objective) for one in same])),
    )
