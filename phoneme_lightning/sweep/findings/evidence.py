"""What findings are read from: a round, its trials and their curves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.confusion_file import Confusion, read_confusion
from phoneme_lightning.sweep.arms import active_spaces
from phoneme_lightning.sweep.arms import arms as design_arms
from phoneme_lightning.sweep.decisions.confirmation_file import read_confirmation
from phoneme_lightning.sweep.design_file import read_design
from phoneme_lightning.sweep.findings.finding import Finding, read_finding
from phoneme_lightning.sweep.folder import KEPT, ROOT, RoundFolder
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.overrides import base_settings, flatten
from phoneme_lightning.sweep.records import TrialRecord, read_trial
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_file import read_round
from phoneme_lightning.sweep.spaces import Categorical, Space

__all__ = ["Branch", "Evidence", "read_evidence"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Branch:
    """Trials of an arm that tune the same hyperparameters over the same ranges."""

    arm: str
    """Name of the arm."""

    spaces: Mapping[str, Space]
    """Ranges of its numbers, by key; choices are left out."""

    trials: Sequence[TrialRecord]
    """All trials, whatever became of them."""


@dataclass(frozen=True, eq=False)  # one is itself alone, so that what is read of it can be kept
class Evidence:
    """A round as it was recorded."""

    round: Round
    """What it is."""

    trials: Sequence[TrialRecord]
    """Every trial, in the order of the design."""

    curves: Mapping[str, Sequence[Mapping[str, float]]]
    """Trial -> rows of its metrics.csv."""

    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Trial -> what it was trained with, by dotted key: the base configs, and its overrides over
    them. Only trials that have begun are there."""

    confusion: Confusion | None = None
    """Of the best trial's last validation; None where nobody wrote it down."""

    parents: Sequence["Evidence"] = ()
    """The round that this one follows from, the one before it, and so on, as far as they are at
    hand; without curves."""

    confirmation: Mapping[str, Any] | None = None
    """What a confirm round came to, as its confirmation.json says; None before it has a verdict."""

    probed: Finding | None = None
    """What a probe found, as its finding.json says; None before it has."""

    @property
    def sign(self) -> int:
        """1 where more of the objective is better, else -1."""
        return 1 if self.round.objective.mode == "max" else -1

    def arms(self) -> list[str]:
        """Give the names of the arms that have trials, in the order of the design."""
        return list(dict.fromkeys(record.arm for record in self.trials))

    def called(self, arm: str) -> str:
        """Name an arm in a sentence; where nothing is scientific it is the round itself."""
        return arm if self.round.scientific else "this round"

    def of(self, arm: str) -> list[TrialRecord]:
        """Give every trial of an arm."""
        return [record for record in self.trials if record.arm == arm]

    @cached_property
    def _order(self) -> dict[str, list[TrialRecord]]:
        order: dict[str, list[TrialRecord]] = {arm: [] for arm in self.arms()}
        for record in ranked(self.trials, self.round.objective):
            if not record.stopped_early:
                order[record.arm].append(record)
        return order

    def completed(self, arm: str) -> list[TrialRecord]:
        """Give the trials of an arm that came to their end, the best first."""
        return self._order[arm]

    def score(self, record: TrialRecord) -> float:
        """Give the objective of a completed trial, turned so that more is better.

        Raises:
            ValueError: the trial has none.
        """
        if record.measured is None:
            raise ValueError(f"trial {record.trial} has no {self.round.objective.metric}")
        return self.sign * record.measured.by(self.round.objective.selection)

    def scores(self, records: Iterable[TrialRecord]) -> Floats:
        """Give the objective of each of some completed trials, turned so that more is better."""
        return np.array([self.score(record) for record in records])

    def curve(self, record: TrialRecord, column: str | None = None) -> tuple[Floats, Floats]:
        """Give a curve of a trial.

        Args:
            record: the trial.
            column: of metrics.csv; the objective, turned so that more is better, if None.

        Returns:
            steps and values, each (rows that have a finite one,).
        """
        name = column or self.round.objective.metric
        if (record.trial, name) not in self._read:
            rows = self.curves.get(record.trial, ())
            seen = np.array([(row["step"], row[name]) for row in rows if name in row])
            seen = seen.reshape(-1, 2)
            self._read[record.trial, name] = seen[np.isfinite(seen[:, 1])].T
        steps, values = self._read[record.trial, name]
        return steps, values * (1 if column else self.sign)

    @cached_property
    def _read(self) -> dict[tuple[str, str], Floats]:
        return {}

    @cached_property
    def _branches(self) -> list[Branch]:
        designed = {arm.name: arm for arm in design_arms(self.round)}
        found: list[tuple[str, dict[str, Space], list[TrialRecord]]] = []
        for record in self.trials:
            if record.arm not in designed:
                continue
            active = active_spaces(self.round, designed[record.arm], record.values)
            spaces: dict[str, Space] = {
                key: space
                for key, space in active.items()
                if not isinstance(space, Categorical) and key in record.values
            }
            for arm, known, members in found:
                if arm == record.arm and known == spaces:
                    members.append(record)
                    break
            else:
                found.append((record.arm, spaces, [record]))
        return [Branch(*one) for one in found]

    def branches(self) -> list[Branch]:
        """Give the parts of the arms in which all trials tune the same over the same ranges."""
        return self._branches

    def coordinates(self, branch: Branch, records: Sequence[TrialRecord]) -> Floats:
        """Give trials as points of a unit cube.

        Args:
            branch: they are in.
            records: the trials.

        Returns:
            (trials, hyperparameters of the branch) in [0, 1].
        """
        rows = [
            [space.coordinate(record.values[key]) for key, space in branch.spaces.items()]
            for record in records
        ]
        cube: Floats = np.array(rows, dtype=float).reshape(len(records), len(branch.spaces))
        return np.clip(cube, 0.0, 1.0)

    def completed_points(self, branch: Branch) -> tuple[Floats, Floats]:
        """Give what a branch taught about its space: its completed points, seeds averaged.

        Returns:
            (points, hyperparameters) in a unit cube, and (points,) objectives, more is better.
        """
        members = {record.trial for record in branch.trials}
        done = [record for record in self.completed(branch.arm) if record.trial in members]
        points = self.by_point(done)
        scores = np.array([self.scores(same).mean() for same in points])
        return self.coordinates(branch, [same[0] for same in points]), scores

    def by_point(self, records: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
        """Give trials by their point, so that seeds of one point do not count as points."""
        points: dict[int, list[TrialRecord]] = {}
        for record in records:
            points.setdefault(record.point, []).append(record)
        return list(points.values())


class _Settings(Mapping[str, Mapping[str, Any]]):
    """Settings of trials, each read only when somebody asks for it.

    Args:
        base: the base configs.
        files: trial -> its overrides.yaml.
    """

    def __init__(self, base: Sequence[Path], files: Mapping[str, Path]) -> None:
        self._base, self._files = base, files

    @cached_property
    def _common(self) -> dict[str, Any]:
        return flatten(base_settings(self._base))

    def __getitem__(self, trial: str) -> Mapping[str, Any]:
        return {**self._common, **flatten(base_settings([self._files[trial]]))}

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read_evidence(folder: RoundFolder) -> Evidence:
    """Read what a round's folder holds, and what the rounds before it taught.

    Raises:
        InputError: its round file cannot be read.
    """
    evidence = _read(folder)
    order = ranked(evidence.trials, evidence.round.objective)
    confusion = read_confusion(order[0].folder) if order and order[0].folder else None
    return replace(
        evidence,
        confusion=confusion,
        parents=_parents(folder, evidence.round),
        confirmation=read_confirmation(folder),
        probed=read_finding(folder.path),
    )


def _read(folder: RoundFolder) -> Evidence:
    round = read_round(folder.round)
    read = [
        read_trial(folder, row, round.objective, round.retry.attempts)
        for row in read_design(folder.design)
    ]
    trials = [record for record, _ in read]
    curves = {record.trial: rows for record, rows in read if record.folder}
    written = {
        record.trial: record.folder / "overrides.yaml"
        for record in trials
        if record.folder and (record.folder / "overrides.yaml").is_file()
    }
    return Evidence(round, trials, curves, _Settings(folder.base_configs(), written))


def _parents(folder: RoundFolder, round: Round) -> list[Evidence]:
    """Read the rounds that a round follows from, the nearest first, up to one that is not there.

    They are looked for beside the round, then among those that were run and those that are kept.
    """
    project = folder.path / "../../.."
    places = [folder.path.parent, project / ROOT, project / KEPT]
    seen, found = {round.name}, list[Evidence]()
    while round.goal.parent and round.goal.parent not in seen:
        name = round.goal.parent
        seen.add(name)
        there = [place / name for place in places if (place / name / "round.yaml").is_file()]
        if not there:
            break
        try:
            found.append(replace(_read(RoundFolder(there[0])), curves={}))
        except (InputError, OSError):
            break
        round = found[-1].round
    return found
