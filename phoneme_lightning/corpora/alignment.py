"""When which phone is spoken, as files of several kinds say it, and as one class a frame.

| ending | a line, or what holds it |
|---|---|
| .phn | first sample, sample after the last, symbol (TIMIT) |
| .lab | begin, end, symbol: in seconds, or in units of 100 ns where all are whole (HTK) |
| .ctm | recording, channel, begin, duration in seconds, symbol |
| .TextGrid | an interval of a tier (Praat, the Montreal Forced Aligner) |
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phoneme_lightning.corpora.audio import FRAME_SAMPLES, SAMPLE_RATE, frame_centres
from phoneme_lightning.corpora.quarantine import Damage

__all__ = ["ENDINGS", "Interval", "label_frames", "read_alignment"]

BEYOND_SECONDS = 0.05
"""How far an alignment may run beyond its recording: two frames and what rounding makes."""
_HTK_UNITS_A_SECOND = 10_000_000
_SHORTEST_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
_TIERS = ("phones", "phone", "phonemes", "phoneme", "segments", "mau")


class Interval(NamedTuple):
    """From when to when, in seconds, a symbol stands."""

    begin: float
    end: float
    symbol: str


def read_alignment(path: Path, *, tier: str | None = None) -> list[Interval]:
    """Read an alignment file of a kind that its ending tells.

    Args:
        path: the file; of a .ctm only the lines on the recording of the file's own name count,
            unless there is but one recording in it.
        tier: of a TextGrid, in small letters or large; by default the only one, or the one that
            is called phones, or is that of a speaker ("anna - phones").

    Returns:
        In order, without overlaps; gaps remain.

    Raises:
        Damage: the file is not what its ending says, or its intervals contradict one another.
    """
    read = ENDINGS[path.suffix.lower()]
    intervals = _read_textgrid(path, tier) if path.suffix.lower() == ".textgrid" else read(path)
    if not intervals:
        raise Damage("no intervals", path.name)
    for interval in intervals:
        if not 0 <= interval.begin <= interval.end < math.inf:
            raise Damage("impossible times", _say(interval))
    intervals.sort()
    for one, other in pairwise(intervals):
        if other.begin < one.end - 1e-6:
            raise Damage("intervals overlap", f"{_say(one)} and {_say(other)}")
    return intervals


def label_frames(
    intervals: Sequence[Interval], seconds: float, frames: int, classes: Mapping[str, int]
) -> tuple[np.ndarray, list[str]]:
    """Label each frame by the phone at its centre.

    Args:
        intervals: as `read_alignment` gives them.
        seconds: how long the recording is.
        frames: how many windows of it there are.
        classes: symbol -> class, -1 for one whose frames have no label.

    Returns:
        (frames,), int8, -1 where there is none; and what a person should know of it.

    Raises:
        Damage: a symbol is unknown, or the alignment is that of a longer recording.
    """
    unknown = sorted({x.symbol for x in intervals if x.symbol not in classes})
    if unknown:
        raise Damage("unknown symbols", " ".join(map(repr, unknown)))
    if intervals[-1].end > seconds + BEYOND_SECONDS:
        end = intervals[-1].end
        raise Damage("times beyond the sound", f"{end:.3f} s of {seconds:.3f} s")
    centres = frame_centres(frames) / SAMPLE_RATE
    begins = np.array([interval.begin for interval in intervals])
    ends = np.array([interval.end for interval in intervals])
    values = np.array([classes[interval.symbol] for interval in intervals])
    place = np.searchsorted(begins, centres, side="right") - 1
    inside = (place >= 0) & (centres < ends[place])
    labels = np.where(inside, values[place], -1).astype(np.int8)
    remarks, end = list[str](), intervals[-1].end
    if bare := int((~inside & (centres < end)).sum()):
        remarks.append(f"gaps: {bare} frames between intervals have no label")
    if end < seconds - BEYOND_SECONDS:
        remarks.append(f"ends early: there is no label from {end:.3f} s on, of {seconds:.3f} s")
    return labels, remarks


def _say(interval: Interval) -> str:
    return f"{interval.symbol!r} from {interval.begin:g} to {interval.end:g} s"


def _lines(path: Path, least: int) -> Iterator[list[str]]:
    """Give the words of each line that is not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Damage("no text", f"{path.name}: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith((";;", "#!")):
            continue
        if len(words) < least:
            raise Damage("malformed line", f"{path.name}, line {number}: {line.strip()[:40]!r}")
        yield words


def _number(word: str, path: Path) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise Damage("malformed line", f"{path.name}: {word[:40]!r} is no time") from error


def _read_phn(path: Path) -> list[Interval]:
    return [
        Interval(_number(a, path) / SAMPLE_RATE, _number(b, path) / SAMPLE_RATE, symbol)
        for a, b, symbol, *_ in _lines(path, 3)
    ]


def _read_lab(path: Path) -> list[Interval]:
    rows = [(a, b, symbol) for a, b, symbol, *_ in _lines(path, 3)]
    whole = all(word.isdecimal() for a, b, _ in rows for word in (a, b))
    unit = 1 / _HTK_UNITS_A_SECOND if whole else 1.0
    if rows and whole and (end := max(int(b) for _, b, _ in rows)) * unit < _SHORTEST_SECONDS:
        raise Damage(
            "wrong unit",
            f"{path.name} ends at {end}: times without a point are units of 100 ns, as HTK has "
            f"them; write seconds with one, such as {end}.0",
        )
    return [Interval(unit * _number(a, path), unit * _number(b, path), x) for a, b, x in rows]


def _read_ctm(path: Path) -> list[Interval]:
    rows = list(_lines(path, 5))
    if len({row[0] for row in rows}) > 1:
        rows = [row for row in rows if row[0] == path.stem]
    spans = ((_number(row[2], path), _number(row[3], path), row[4]) for row in rows)
    return [Interval(begin, begin + duration, symbol) for begin, duration, symbol in spans]


def _read_textgrid(path: Path, tier: str | None = None) -> list[Interval]:
    from praatio.data_classes.interval_tier import IntervalTier
    from praatio.textgrid import openTextgrid
    from praatio.utilities.errors import PraatioException

    try:
        _refuse_what_praatio_misreads(path)
        grid = openTextgrid(
            str(path), includeEmptyIntervals=True, reportingMode="silence",
            duplicateNamesMode="rename",
        )  # fmt: skip
    except Damage:
        raise
    except (PraatioException, UnicodeError) as error:
        raise Damage("bad TextGrid", f"{path.name}: {' '.join(str(error).split())[:80]}") from error
    except Exception as error:  # its parser trips in many ways over what is no TextGrid
        raise Damage("bad TextGrid", f"{path.name}: cut off or malformed") from error
    tiers = {t.name: t for t in grid.tiers if isinstance(t, IntervalTier)}
    wanted = _TIERS if tier is None else (tier.lower(),)
    names = [name for name in tiers if name.lower().split(" - ")[-1] in wanted]
    if tier is None and not names and len(tiers) == 1:
        names = list(tiers)
    if len(names) != 1:
        said = "several tiers fit" if names else "tier missing"
        raise Damage(said, f"{path.name} has: {', '.join(grid.tierNames) or 'none'}")
    return [
        Interval(float(x.start), float(x.end), x.label.strip()) for x in tiers[names[0]].entries
    ]


def _refuse_what_praatio_misreads(path: Path) -> None:
    """Refuse what is no TextGrid, of which it says nothing plain, and a minus that it overlooks."""
    content = path.read_bytes()
    if not content.strip():
        raise Damage("bad TextGrid", f"{path.name}: empty")
    text = content.replace(b"\0", b"")  # of UTF-16
    if b"TextGrid" not in text[:200] and not text.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"{"):
        raise Damage("bad TextGrid", f"{path.name}: it does not begin as one")
    if found := re.search(rb"^\s*(?:xmin|number) ?= ?(-[\d.]*[1-9]\S*)", text, re.MULTILINE):
        raise Damage("impossible times", f"{path.name}: {found[1].decode(errors='replace')[:20]} s")


ENDINGS = {
    ".textgrid": _read_textgrid,
    ".phn": _read_phn,
    ".ctm": _read_ctm,
    ".lab": _read_lab,
}
"""How an alignment's file ends, in small letters, and how it is read."""
