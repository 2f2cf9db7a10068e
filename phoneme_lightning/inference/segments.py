"""Runs of equal frames as segments in seconds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phoneme_lightning.corpora.audio import FRAME_SAMPLES, SAMPLE_RATE, SHIFT_SAMPLES

__all__ = ["Segment", "segments"]


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
    edges = np.flatnonzero(np.diff(classes)) + 1
    borders = [0.0, *((lead + edges * SHIFT_SAMPLES) / SAMPLE_RATE).tolist(), seconds]
    begins = np.concatenate([[0], edges])
    means = np.add.reduceat(probabilities, begins, dtype=np.float64)
    means /= np.diff(begins, append=len(classes))
    runs = zip(classes[begins].tolist(), means.tolist(), strict=True)
    for place, (phone, mean) in enumerate(runs):
        yield Segment(borders[place], borders[place + 1], phones[phone], mean)
