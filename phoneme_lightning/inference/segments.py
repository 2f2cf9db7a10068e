"""Runs of equal frames as segments in seconds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phoneme_lightning.corpora.audio import FRAME_SAMPLES, SAMPLE_RATE, SHIFT_SAMPLES

__all__ = ["Segment", "segments"]

FRAMES_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A phone of a recording.

    Attributes:
        begin: seconds from the recording's begin.
        end: likewise.
        phone: its name.
        confidence: the mean probability of the phone over its frames, 0 to 1.
    """

    begin: float
    end: float
    phone: str
    confidence: float


def segments(
    classes: np.ndarray, probabilities: np.ndarray, phones: Sequence[str], seconds: float
) -> Iterator[Segment]:
    """Give the runs of equal classes, one after the other.

    Two runs part midway between the centres of the frames on both sides. The first begins at 0 and
    the last ends with the sound: before the first frame's centre and behind the last one's nothing
    else is known.

    Args:
        classes: (frames,), int, at least one frame.
        probabilities: (frames,), that each frame is of its class.
        phones: the names of the classes.
        seconds: how long the recording is.

    Yields:
        The segments. They fill the recording, and no two neighbours are of one phone.
    """
    # A frame spans 25 ms, and the next one begins 10 ms later: 7.5 ms lie before the border.
    lead = (FRAME_SAMPLES - SHIFT_SAMPLES) / 2
    begin, first, size = 0.0, 0, FRAMES_AT_ONCE
    while first < len(classes):
        after = min(len(classes), first + size)
        edges = first + 1 + np.flatnonzero(np.diff(classes[first:after]))
        if after == len(classes):
            edges = np.append(edges, after)
        elif not len(edges):  # one run, whose end is further on
            size *= 2
            continue
        begins = np.concatenate([[first], edges[:-1]])
        known = probabilities[first : edges[-1]]
        means = np.add.reduceat(known, begins - first, dtype=np.float64) / (edges - begins)
        runs = zip(classes[begins].tolist(), edges.tolist(), means.tolist(), strict=True)
        for phone, edge, mean in runs:
            is_last = edge == len(classes)
            end = seconds if is_last else (lead + edge * SHIFT_SAMPLES) / SAMPLE_RATE
            yield Segment(begin, end, phones[phone], mean)
            begin = end
        first, size = int(edges[-1]), FRAMES_AT_ONCE
