"""Two sides, each at its best: the difference, how far it may be luck, what differs, the cost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phoneme_lightning.sweep.decisions.cost import Cost, cost_of
from phoneme_lightning.sweep.decisions.intervals import (
    Interval,
    over_search,
    over_seeds,
    over_speakers,
    over_utterances,
)
from phoneme_lightning.sweep.decisions.settings import differing, extra
from phoneme_lightning.sweep.decisions.side import Side
from phoneme_lightning.sweep.leaderboard import short_names

__all__ = ["Comparison", "compare", "lines", "say_cost", "say_interval"]


@dataclass(frozen=True)
class Comparison:
    """What two sides came to."""

    sides: tuple[str, str]
    """A and B, as they were asked for."""

    trials: tuple[list[str], list[str]]
    """Of each the best point, a trial a seed."""

    metric: str
    """What both are measured by."""

    selection: str
    """Which of a trial's validations counts."""

    values: tuple[float, float]
    """The objective of each, averaged over its seeds."""

    difference: float
    """A less B."""

    corpora: tuple[str | None, str | None]
    """What each was validated on: its name, and the beginning of its manifest's hash."""

    better: str
    """The side that is ahead; "" where they are level."""

    intervals: tuple[Interval, ...]
    """95 % intervals of the difference, one a kind of luck."""

    settings: dict[str, tuple[Any, Any]] | None
    """The settings in which they differ, with both values; None where one was not trained."""

    extra: tuple[list[str], list[str]]
    """Hyperparameters that one sets and the other leaves at 0, off or out."""

    costs: tuple[Cost, Cost]
    """What each cost."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return asdict(self)


def compare(ours: Side, theirs: Side) -> Comparison:
    """Compare two sides, each by the best point that was found in it.

    Args:
        ours: A.
        theirs: B, measured by the same objective.
    """
    objective = ours.objective
    mine, other = ours.settings(), theirs.settings()
    settings = (mine, other) if mine is not None and other is not None else None
    folders = _folders(ours), _folders(theirs)
    difference = ours.value - theirs.value
    gain = difference if objective.mode == "max" else -difference
    return Comparison(
        sides=(ours.name, theirs.name),
        trials=([one.trial for one in ours.trials], [one.trial for one in theirs.trials]),
        metric=objective.metric,
        selection=objective.selection,
        values=(ours.value, theirs.value),
        difference=difference,
        corpora=(_corpus(ours), _corpus(theirs)),
        better=ours.name if gain > 0 else theirs.name if gain < 0 else "",
        intervals=(
            over_utterances(*folders, objective),
            over_speakers(*folders, objective),
            over_seeds(ours.by_seed(), theirs.by_seed()),
            over_search(ours, theirs),
        ),
        settings=differing(*settings) if settings else None,
        extra=(extra(*settings), extra(*reversed(settings))) if settings else ([], []),
        costs=(cost_of(ours.trials), cost_of(theirs.trials)),
    )


def _folders(side: Side) -> list[Path]:
    return [one.folder for one in side.trials if one.folder]


def _corpus(side: Side) -> str | None:
    told = side.trials[0].environment.get("corpus") or {}
    return f"{told['name']} {str(told.get('manifest_sha256'))[:12]}" if "name" in told else None


def say_interval(interval: Interval) -> str:
    """Say an interval in a line."""
    if interval.low is None or interval.high is None:
        return f"luck of {interval.luck}: no interval, {interval.told}"
    return f"luck of {interval.luck}: {interval.span} ({interval.told})"


def say_cost(cost: Cost) -> str:
    """Say a cost in a line."""
    parts = [f"{cost.parameters:,} weights" if cost.parameters else "weights unknown"]
    if cost.steps:
        parts.append(f"{cost.steps:,} steps")
    if cost.seconds is not None and cost.step_seconds is not None:
        parts.append(f"{cost.seconds:.0f} s, {1000 * cost.step_seconds:.0f} ms a step")
    return ", ".join(parts)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def lines(comparison: Comparison) -> Sequence[str]:
    """Say a comparison in plain lines."""
    one = comparison
    told = [f"{one.selection} {one.metric} on validation"]
    for side, trials, value, cost in zip(one.sides, one.trials, one.values, one.costs, strict=True):
        seeds = f"{trials[0]}, {len(trials)} seeds" if len(trials) > 1 else trials[0]
        told.append(f"  {side}: {value:.4f} ({seeds}; {say_cost(cost)})")
    ahead = f"{one.better} is ahead" if one.better else "they are level"
    told.append(f"difference, the first less the second: {one.difference:+.4f}; {ahead}")
    if None not in one.corpora and one.corpora[0] != one.corpora[1]:
        of = " and ".join(map(str, one.corpora))
        told.append(f"{_doubt(one)}: they were validated on two corpora, {of}")
    told.append("95 % intervals of that difference:")
    told += [f"  {say_interval(interval)}" for interval in one.intervals]
    told += _say_settings(one.settings)
    for side, keys in zip(one.sides, one.extra, strict=True):
        if keys:
            told.append(f"{side} has more to set: {', '.join(keys)}")
    return told


def _doubt(comparison: Comparison) -> str:
    """Say what a difference between two corpora is worth."""
    [utterances] = (one for one in comparison.intervals if one.luck == "utterances")
    if utterances.low is None:
        return "it says nothing of the nets"
    # So it is where one has pseudo-labels, which are for training alone.
    return "it is one of the nets only if the same utterances have the same labels in both"


def _say_settings(settings: dict[str, tuple[Any, Any]] | None) -> list[str]:
    if settings is None:
        return ["settings: one of the two is no fit and has none"]
    names = short_names(settings)
    pairs = [f"  {names[key]}: {_short(a)} and {_short(b)}" for key, (a, b) in settings.items()]
    return ["settings that differ:", *pairs] if pairs else ["no setting differs"]
