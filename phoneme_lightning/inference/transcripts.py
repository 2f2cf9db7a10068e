"""Transcripts, and how they are written: TextGrid, CTM, JSON, CSV."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from phoneme_lightning.inference.segments import Segment, segments

__all__ = ["FORMATS", "Transcript"]


@dataclass(frozen=True, eq=False)
class Transcript:
    """What was heard in a recording.

    Attributes:
        name: the recording's.
        stem: under which it goes: a path without the ending.
        seconds: how long it is.
        phones: the names of the classes.
        classes: (frames,), uint8.
        probabilities: (frames,), float32, that each frame is of its class.
        checkpoints: of the nets that heard it.
        is_decoded: whether the classes are a path, or each frame's likeliest one.
    """

    name: str
    stem: str
    seconds: float
    phones: tuple[str, ...]
    classes: np.ndarray
    probabilities: np.ndarray
    checkpoints: tuple[str, ...]
    is_decoded: bool

    def __len__(self) -> int:
        return 1 + int(np.count_nonzero(np.diff(self.classes)))

    def __iter__(self) -> Iterator[Segment]:
        return segments(self.classes, self.probabilities, self.phones, self.seconds)


def _write_textgrid(transcript: Transcript, file: TextIO) -> None:
    """Write what Praat reads: an interval tier of phones, and one of confidences."""
    tiers: dict[str, Callable[[Segment], str]] = {
        "phones": lambda segment: segment.phone.replace('"', '""'),
        "confidence": lambda segment: f"{segment.confidence:.3f}",
    }
    span = "xmin = 0 \n", f"xmax = {transcript.seconds:.7f} \n"
    file.writelines(['File type = "ooTextFile"\n', 'Object class = "TextGrid"\n\n', *span])
    file.write(f"tiers? <exists> \nsize = {len(tiers)} \nitem []: \n")
    for number, (name, text) in enumerate(tiers.items(), start=1):
        head = 'class = "IntervalTier" \n', f'name = "{name}" \n', *span
        file.write(f"    item [{number}]:\n")
        file.writelines(f"        {line}" for line in head)
        file.write(f"        intervals: size = {len(transcript)} \n")
        for place, segment in enumerate(transcript, start=1):
            file.write(
                f"        intervals [{place}]:\n"
                f"            xmin = {segment.begin:.7f} \n"
                f"            xmax = {segment.end:.7f} \n"
                f'            text = "{text(segment)}" \n'
            )


def _write_ctm(transcript: Transcript, file: TextIO) -> None:
    """Write NIST's CTM: recording, channel, begin, duration, phone, confidence."""
    name = "_".join(transcript.stem.split())
    for begin, end, segment in _rounded(transcript):
        length = f"{end - begin:.4f}"
        file.write(f"{name} 1 {begin:.4f} {length} {segment.phone} {segment.confidence:.3f}\n")


def _write_csv(transcript: Transcript, file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["begin", "end", "phone", "confidence"])
    for begin, end, segment in _rounded(transcript):
        row = [f"{begin:.4f}", f"{end:.4f}", segment.phone, f"{segment.confidence:.3f}"]
        writer.writerow(row)


def _write_json(transcript: Transcript, file: TextIO) -> None:
    """Write an object, a segment a line."""
    about = {
        "recording": transcript.name,
        "seconds": transcript.seconds,
        "checkpoints": transcript.checkpoints,
        "decoded": transcript.is_decoded,
    }
    file.write(json.dumps(about, indent=2, ensure_ascii=False)[:-2] + ',\n  "segments": [')
    for place, (begin, end, segment) in enumerate(_rounded(transcript)):
        row = {
            "begin": begin,
            "end": end,
            "phone": segment.phone,
            "confidence": round(segment.confidence, 3),
        }
        file.write(("," if place else "") + "\n    " + json.dumps(row, ensure_ascii=False))
    file.write("\n  ]\n}\n")


def _rounded(transcript: Transcript) -> Iterator[tuple[float, float, Segment]]:
    """Give each segment behind its begin and end in tenths of a millisecond."""
    for segment in transcript:
        yield round(segment.begin, 4), round(segment.end, 4), segment


FORMATS: dict[str, tuple[str, Callable[[Transcript, TextIO], None]]] = {
    "textgrid": (".TextGrid", _write_textgrid),
    "ctm": (".ctm", _write_ctm),
    "json": (".json", _write_json),
    "csv": (".csv", _write_csv),
}
"""Name -> a file's ending, and what writes it."""
