"""phoneme-cli transcribe: recordings in, phones in time out."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.recordings import Recording, find_recordings
from phoneme_lightning.inference.saved_decoder import FILE, SavedDecoder
from phoneme_lightning.inference.transcriber import Begin, Read, Transcriber, read_recording
from phoneme_lightning.inference.transcript_files import PLOT, files_of, make_folder, write_files
from phoneme_lightning.inference.transcripts import FORMATS
from phoneme_lightning.training.record import read_record

__all__ = ["transcribe"]

PLOTTED_SECONDS = 20
SOME_LEFT_OUT = 1
MOST_TOGETHER = 64
"""Recordings that are heard side by side; each holds a file open."""
FRAMES_TOGETHER = 32_000
"""Recordings are heard together once they have as many frames, 320 s: an interrupt loses no more,
8 s of work at 40 times real time, or one recording that is longer."""


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

    What cannot be transcribed is named on standard error, and the rest goes on. Files that are
    there stay, so that the same call again goes on where another was interrupted.

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
        InputError: a checkpoint or all recordings are missing, nothing can be written, or
            something does not go together.
    """
    checkpoints = [word for word in words if word.endswith(".ckpt")]
    recordings, bad = find_recordings([word for word in words if not word.endswith(".ckpt")])
    if not checkpoints:
        raise InputError("transcribe is given no net: give a .ckpt")
    if not recordings:
        missing = "transcribe is given no recordings: give files, a folder, or -"
        raise InputError("; ".join(bad) or missing)
    to_stdout = out is None and recordings[0].path is None
    if to_stdout and (len(formats) > 1 or plot):
        raise InputError("standard output takes one --format and no --plot: give --out FOLDER")
    folder = None if to_stdout else Path(out or "transcripts")
    if folder:
        make_folder(folder)
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
    with _Progress(console, len(recordings) + len(bad)) as progress:
        for why in bad:
            progress.leave_out(why)
        for group in _groups(_read(recordings, folder, kinds, overwrite, progress)):
            transcripts = transcriber.hear([waiting.read for waiting in group])
            for waiting, transcript in zip(group, transcripts, strict=True):
                with progress.leaving_out(transcript.name):
                    if folder:
                        write_files(transcript, waiting.read.begin, waiting.files)
                    else:
                        FORMATS[formats[0]][1](transcript, sys.stdout)
                        sys.stdout.flush()
                    heard += transcript.seconds
                    where = ", ".join(map(str, waiting.files.values())) or "standard output"
                    console.print(f"{transcript.name}: {len(transcript):,} phones -> {where}")
                    progress.next()
                    progress.heard += 1
    spent = time.perf_counter() - begun
    count = "1 recording" if progress.heard == 1 else f"{progress.heard} recordings"
    said = f"{count}, {heard:,.1f} s of sound in {spent:.1f} s: {heard / spent:.0f} times real time"
    if progress.there:
        said += f"; {progress.there} there already"
    if progress.left_out:
        said += f"; {progress.left_out} left out"
    console.print(said)
    return SOME_LEFT_OUT if progress.left_out else 0


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
    """A recording that was read, and the files that its transcript will be, by kind."""

    read: Read
    files: dict[str, Path]


def _read(
    recordings: Iterable[Recording],
    folder: Path | None,
    kinds: Sequence[str],
    overwrite: bool,
    progress: "_Progress",
) -> Iterator[_Waiting]:
    """Read recordings one after the other, but for those that are left out or done already."""
    for recording in recordings:
        waiting = None
        files = files_of(recording.stem, folder, kinds) if folder else {}
        there = {} if overwrite else {kind: x for kind, x in files.items() if x.exists()}
        if there:
            stays = ", ".join(map(str, there.values()))
            progress.console.print(f"there already: {stays}; --overwrite writes anew")
        if there and there == files:
            progress.there += 1
            progress.next()
            continue
        with progress.leaving_out(recording.name):
            begin = Begin(PLOTTED_SECONDS if PLOT in files else 0)
            read = read_recording(
                recording.name,
                recording.blocks(partial(progress.remark, recording.name)),
                begin=begin,
                stem=recording.stem,
                told=progress.tell,
            )
            waiting = _Waiting(read, {kind: x for kind, x in files.items() if kind not in there})
        if waiting:
            yield waiting


def _groups(recordings: Iterable[_Waiting]) -> Iterator[list[_Waiting]]:
    """Give recordings to be heard together, the shortest of them first."""
    group: list[_Waiting] = []
    frames = 0
    for waiting in recordings:
        group.append(waiting)
        frames += len(waiting.read.cepstra)
        if frames >= FRAMES_TOGETHER or len(group) == MOST_TOGETHER:
            yield _by_length(group)
            group, frames = [], 0
    if group:
        yield _by_length(group)


def _by_length(group: Iterable[_Waiting]) -> list[_Waiting]:
    return sorted(group, key=lambda waiting: len(waiting.read.cepstra))


class _Progress:
    """A bar of all recordings, and one of the present one, where somebody sees them.

    Attributes:
        heard: how many recordings were.
        there: how many had been.
        left_out: how many are bad.
    """

    def __init__(self, console: Console, recordings: int) -> None:
        self.console = console
        self.heard = self.there = self.left_out = 0
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

    def remark(self, name: str, said: str) -> None:
        """Say something of a recording that can be used all the same."""
        self.console.print(f"{name}: {said}")

    @contextmanager
    def leaving_out(self, name: str) -> Iterator[None]:
        """Leave out the recording of this name if something is wrong with it."""
        try:
            yield
        except InputError as error:
            self.leave_out(str(error))
        except OSError as error:
            self.leave_out(f"{name}: {error}")

    def leave_out(self, why: str) -> None:
        """Say what is wrong with a recording, and go on to the next one."""
        self.left_out += 1
        self.console.print(f"left out: {why}")
        self.next()

    def next(self) -> None:
        """Go on to the next recording."""
        self._bar.advance(self._whole)
        self._bar.reset(self._present, description="", total=None)
