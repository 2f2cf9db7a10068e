"""phoneme-cli transcribe: recordings in, phones in time out."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.hearing import FRAMES_PER_BATCH
from phoneme_lightning.inference.recordings import Recording, find_recordings
from phoneme_lightning.inference.saved_decoder import FILE, SavedDecoder
from phoneme_lightning.inference.transcriber import Begin, Read, Transcriber, read_recording
from phoneme_lightning.inference.transcript_picture import draw_transcript
from phoneme_lightning.inference.transcripts import FORMATS, Transcript
from phoneme_lightning.training.record import read_record

__all__ = ["transcribe"]

PLOTTED_SECONDS = 20
PLOT = "plot"
SOME_LEFT_OUT = 1
MOST_TOGETHER = 64
"""Recordings that are heard side by side; each holds a file open."""


def transcribe(
    words: Sequence[str],
    *,
    formats: Sequence[str] = ("textgrid",),
    out: str | None = None,
    phones: str | None = None,
    plot: bool = False,
    overwrite: bool = False,
) -> int:
    """Transcribe recordings by one net, or by several whose log-probabilities are averaged.

    What cannot be transcribed is named on standard error, and the rest goes on.

    Args:
        words: .ckpt files of fits, then recordings, folders of them, or "-": standard input.
        formats: names in FORMATS.
        out: the folder of the transcripts; if None, "transcripts", but for standard input
            standard output.
        phones: a phones.json that decodes; if None, the one beside the first checkpoint. Where
            there is none, each frame gets its likeliest phone.
        plot: draw each recording too.
        overwrite: write over transcripts that are there.

    Returns:
        0, or 1 where a recording was left out.

    Raises:
        InputError: a checkpoint or all recordings are missing, or something does not go together.
    """
    checkpoints = [word for word in words if word.endswith(".ckpt")]
    recordings = find_recordings([word for word in words if not word.endswith(".ckpt")])
    if not checkpoints or not recordings:
        missing = "recordings: give files, a folder, or -" if checkpoints else "net: give a .ckpt"
        raise InputError(f"transcribe is given no {missing}")
    to_stdout = out is None and recordings[0].path is None
    if to_stdout and (len(formats) > 1 or plot):
        raise InputError("standard output takes one --format and no --plot: give --out FOLDER")
    folder = None if to_stdout else Path(out or "transcripts")
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    transcriber = Transcriber.open(checkpoints, phones)
    if transcriber.saved is None:
        console.print(
            f"no {FILE} beside {checkpoints[0]}: each frame gets its likeliest phone; "
            f"`phoneme-cli ensemble {checkpoints[0]} --decode` writes what decodes"
        )
    elif note := _made_for_others(transcriber.saved, checkpoints):
        console.print(note)
    begun, heard = time.perf_counter(), 0.0
    kinds = [*formats, *([PLOT] if plot else [])]
    with _Progress(console, len(recordings)) as progress:
        for group in _groups(_read(recordings, folder, kinds, overwrite, progress)):
            transcripts = transcriber.hear([waiting.read for waiting in group])
            for waiting, transcript in zip(group, transcripts, strict=True):
                with progress.leaving_out():
                    _write(transcript, waiting.files, formats[0])
                    if plot:
                        draw_transcript(transcript, waiting.read.begin, waiting.files[PLOT])
                    heard += transcript.seconds
                    where = ", ".join(map(str, waiting.files.values())) or "standard output"
                    console.print(f"{transcript.name}: {len(transcript):,} phones -> {where}")
                    progress.next()
    spent, left_out = time.perf_counter() - begun, progress.left_out
    console.print(
        f"{len(recordings) - left_out} recordings, {heard:,.1f} s of sound in {spent:.1f} s: "
        f"{heard / spent:.0f} times real time" + (f"; {left_out} left out" if left_out else "")
    )
    return SOME_LEFT_OUT if left_out else 0


def _made_for_others(saved: SavedDecoder, checkpoints: Sequence[str]) -> str:
    """Say so where what decodes was chosen for other weights, as far as the steps tell."""
    steps = tuple(read_record(checkpoint)["step"] for checkpoint in checkpoints)
    if saved.steps in ((), steps):
        return ""
    made, given = (", ".join(f"{step:,}" for step in x) for x in (saved.steps, steps))
    return (
        f"{FILE} was chosen for weights of step {made}, and these are of step {given}: "
        f"`phoneme-cli ensemble {' '.join(checkpoints)} --decode` chooses anew"
    )


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A recording that was read, and the files that its transcript will be."""

    read: Read
    files: dict[str, Path]


def _read(
    recordings: Iterable[Recording],
    folder: Path | None,
    kinds: Sequence[str],
    overwrite: bool,
    progress: "_Progress",
) -> Iterator[_Waiting]:
    """Read recordings one after the other, but for those that are left out."""
    for recording in recordings:
        waiting = None
        with progress.leaving_out():
            files = _files(recording, folder, kinds)
            there = [str(file) for file in files.values() if file.exists() and not overwrite]
            if there:
                raise InputError(
                    f"{recording.name}: {there[0]} is there: give --overwrite or another --out"
                )
            for oddity in recording.oddities():
                progress.console.print(f"{recording.name}: {oddity}")
            begin = Begin(PLOTTED_SECONDS if PLOT in kinds else 0)
            read = read_recording(
                recording.name, recording.blocks(), begin=begin, told=progress.tell
            )
            waiting = _Waiting(read, files)
        if waiting:
            yield waiting


def _groups(recordings: Iterable[_Waiting]) -> Iterator[list[_Waiting]]:
    """Give recordings to be heard together, the shortest of them first."""
    group: list[_Waiting] = []
    frames = 0
    for waiting in recordings:
        group.append(waiting)
        frames += len(waiting.read.cepstra)
        if frames >= FRAMES_PER_BATCH or len(group) == MOST_TOGETHER:
            yield _by_length(group)
            group, frames = [], 0
    if group:
        yield _by_length(group)


def _by_length(group: Iterable[_Waiting]) -> list[_Waiting]:
    return sorted(group, key=lambda waiting: len(waiting.read.cepstra))


class _Progress:
    """A bar of all recordings, and one of the present one, where somebody sees them.

    Attributes:
        left_out: how many recordings were.
    """

    def __init__(self, console: Console, recordings: int) -> None:
        self.console, self.left_out = console, 0
        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        hidden = not console.is_terminal
        self._bar = Progress(*columns, console=console, transient=True, disable=hidden)
        self._whole = self._bar.add_task("recordings", total=recordings)
        self._present = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *about: object) -> None:
        self._bar.stop()

    def tell(self, done: float, whole: float | None) -> None:
        """Show how many seconds of the present recording are done, of how many if it is known."""
        what = "read" if whole is None else "heard"
        description = f"{what} {done:,.0f} s"
        self._bar.update(self._present, description=description, completed=done, total=whole)

    @contextmanager
    def leaving_out(self) -> Iterator[None]:
        """Name what is wrong with a recording, and go on to the next one."""
        try:
            yield
        except (InputError, OSError) as error:
            self.left_out += 1
            self.console.print(f"left out: {error}")
            self.next()

    def next(self) -> None:
        """Go on to the next recording."""
        self._bar.advance(self._whole)
        self._bar.reset(self._present, description="", total=None)


def _files(recording: Recording, folder: Path | None, kinds: Sequence[str]) -> dict[str, Path]:
    """Give where what is made of a recording goes, by kind; nowhere for standard output."""
    if folder is None:
        return {}
    endings = {kind: ".png" if kind == PLOT else FORMATS[kind][0] for kind in kinds}
    return {kind: folder / f"{recording.stem}{ending}" for kind, ending in endings.items()}


def _write(transcript: Transcript, files: dict[str, Path], only: str) -> None:
    if not files:
        FORMATS[only][1](transcript, sys.stdout)
        sys.stdout.flush()
    for kind, file in files.items():
        if kind == PLOT:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8") as text:
            FORMATS[kind][1](transcript, text)
