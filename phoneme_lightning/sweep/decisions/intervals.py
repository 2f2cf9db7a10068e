"""How far a difference may be luck: of utterances, of speakers, of seeds, of the search."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from phoneme_lightning.sweep.decisions.side import Side
from phoneme_lightning.sweep.decisions.verdict import paired_interval
from phoneme_lightning.sweep.round import Objective
from phoneme_lightning.training.utterance_file import UTTERANCES, read_utterances

__all__ = ["Interval", "over_search", "over_seeds", "over_speakers", "over_utterances"]

DRAWS = 2000
ENDS = (0.025, 0.975)

LIBRISPEECH = re.compile(r"(\d+)-\d+-\d+")
"""Speaker, chapter, utterance."""

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a difference, or why there is none."""

    luck: str
    """Whose luck it is about: utterances, speakers, seeds or search."""

    told: str
    """How it was made; without an interval why there is none."""

    low: float | None = None
    """Lower end."""

    high: float | None = None
    """Upper end."""

    @property
    def span(self) -> str:
        """Both ends for a table; a dash where there are none."""
        if self.low is None or self.high is None:
            return "-"
        return f"{self.low:+.4f} to {self.high:+.4f}"


def over_utterances(ours: Sequence[Path], theirs: Sequence[Path], objective: Objective) -> Interval:
    """Draw the utterances of validation anew, the same ones for both sides.

    Args:
        ours: folders of runs whose counts are averaged, a seed each.
        theirs: likewise.
        objective: what is compared; only the best frame accuracy is counted by utterance.
    """
    counted = _count(ours, theirs, objective)
    if isinstance(counted, str):
        return Interval("utterances", counted)
    names, frames, ahead = counted
    draws = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    shares = ahead[draws].sum(axis=1) / np.maximum(frames[draws].sum(axis=1), 1)
    low, high = np.quantile(shares, ENDS)
    told = f"{len(names)} utterances drawn anew, the same for both"
    return Interval("utterances", told, float(low), float(high))


def over_speakers(ours: Sequence[Path], theirs: Sequence[Path], objective: Objective) -> Interval:
    """Give Student's interval of the difference for new speakers: what one says is alike.

    It is that of a ratio of sums over speakers, of the frames gained to all frames (Cochran 1977,
    Sampling Techniques, section 6.3). Only LibriSpeech's names of utterances tell the speaker.

    Args:
        ours: folders of runs whose counts are averaged, a seed each.
        theirs: likewise.
        objective: what is compared; only the best frame accuracy is counted by utterance.
    """
    counted = _count(ours, theirs, objective)
    if isinstance(counted, str):
        return Interval("speakers", counted)
    names, frames, ahead = counted
    spoken = [LIBRISPEECH.fullmatch(name) for name in names]
    speakers, index = np.unique([one[1] if one else "" for one in spoken], return_inverse=True)
    if not all(spoken) or len(speakers) < 2:
        return Interval("speakers", "the names of the utterances tell no two speakers")
    gains, sizes = np.bincount(index, ahead), np.bincount(index, frames)
    share = gains.sum() / sizes.sum()
    many = len(speakers)
    error = np.sqrt(many / (many - 1) * np.sum((gains - share * sizes) ** 2)) / sizes.sum()
    half = float(stdtrit(many - 1, ENDS[1]) * error)
    told = f"{many} speakers, Student's"
    return Interval("speakers", told, float(share) - half, float(share) + half)


def _count(
    ours: Sequence[Path], theirs: Sequence[Path], objective: Objective
) -> tuple[list[str], Counts, Counts] | str:
    """Give the utterances, their frames, and by how many right ones we are ahead; else why not."""
    if (objective.metric, objective.selection) != ("val/frame_accuracy", "best"):
        return "only the best val/frame_accuracy is counted by utterance"
    read = [[read_utterances(folder) for folder in side] for side in (ours, theirs)]
    counts = [[one for one in side if one] for side in read]
    if any(len(one) < len(side) for one, side in zip(counts, read, strict=True)):
        return f"a trial has no {UTTERANCES}: it is an older one, or kept without"
    lengths = [
        {name: frames for name, (frames, _) in one.items()} for side in counts for one in side
    ]
    if any(one != lengths[0] for one in lengths):
        return "the two were validated on other utterances"
    names = sorted(lengths[0])
    frames = np.array([lengths[0][name] for name in names], dtype=float)
    right: list[Counts] = [
        np.mean([[one[name][1] for name in names] for one in side], axis=0) for side in counts
    ]
    return names, frames, right[0] - right[1]


def over_seeds(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Interval:
    """Give Student's interval of the difference: by pairs of seeds, else Welch's.

    Args:
        ours: seed -> objective.
        theirs: likewise.
    """
    both = sorted(ours.keys() & theirs.keys())
    if len(both) > 1:
        low, high = paired_interval([ours[seed] - theirs[seed] for seed in both], 0.05)
        return Interval("seeds", f"{len(both)} pairs of seeds", low, high)
    if min(len(ours), len(theirs)) < 2:
        return Interval("seeds", "one seed alone says nothing of its luck: phoneme-sweep confirm")
    one, two = (np.array(list(side.values())) for side in (ours, theirs))
    squares = [float(np.var(side, ddof=1)) / len(side) for side in (one, two)]
    error = np.sqrt(sum(squares))
    parts = [square**2 / (len(side) - 1) for square, side in zip(squares, (one, two), strict=True)]
    free = sum(squares) ** 2 / sum(parts) if error else 1.0
    half = float(stdtrit(free, ENDS[1]) * error)
    mean = float(one.mean() - two.mean())
    return Interval(
        "seeds", f"{len(one)} and {len(two)} seeds, not paired", mean - half, mean + half
    )


def over_search(ours: Side, theirs: Side) -> Interval:
    """Draw the points of both searches anew, and take the best of equally many.

    Two arms of one round share their points, and get the same draw.

    Args:
        ours: a round or an arm of one.
        theirs: likewise.
    """
    one, two = ours.by_point(), theirs.by_point()
    if min(len(one), len(two)) < 2:
        return Interval("search", "a single point was not searched for among others")
    sign = 1 if ours.objective.mode == "max" else -1
    draw = np.random.default_rng(0)
    arms = [{arm for arm, _ in side} for side in (one, two)]
    same = ours.path.resolve() == theirs.path.resolve()
    if same and len(arms[0]) == len(arms[1]) == 1:
        tables = [
            {point: sign * value for (_, point), value in side.items()} for side in (one, two)
        ]
        points = sorted(tables[0].keys() | tables[1].keys())
        rows = np.array([[table.get(point, -np.inf) for point in points] for table in tables])
        bests = rows[:, draw.integers(len(points), size=(DRAWS, len(points)))].max(axis=2)
        told = f"{len(points)} points that both share, drawn anew"
    else:
        count = min(len(one), len(two))
        bests = np.stack(
            [
                np.array([sign * value for value in side.values()])[
                    draw.integers(len(side), size=(DRAWS, count))
                ].max(axis=1)
                for side in (one, two)
            ]
        )
        told = f"the best of {count} points each, drawn anew"
    bests = bests[:, np.isfinite(bests).all(axis=0)]
    low, high = np.quantile(sign * (bests[0] - bests[1]), ENDS)
    return Interval("search", told, float(low), float(high))
