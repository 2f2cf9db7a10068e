"""Where transcripts go: files under a recording's name, each whole or not there at all."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.transcriber import Begin
from phoneme_lightning.inference.transcript_picture import draw_transcript
from phoneme_lightning.inference.transcripts import FORMATS, Transcript

__all__ = ["PLOT", "files_of", "make_folder", "write_files"]

PLOT = "plot"
"""The picture, beside the names in FORMATS."""


def make_folder(folder: Path) -> None:
    """Make the folder of the transcripts, before hours are spent on them.

    Raises:
        InputError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(
            f"--out is {folder}, where nothing can be written ({error.strerror}): give another"
        ) from error


def files_of(stem: str, folder: Path, kinds: Sequence[str]) -> dict[str, Path]:
    """Give where what is made of a recording goes.

    Args:
        stem: the recording's path without the ending.
        folder: of all transcripts.
        kinds: names in FORMATS, and PLOT.
    """
    endings = {kind: ".png" if kind == PLOT else FORMATS[kind][0] for kind in kinds}
    return {kind: folder / f"{stem}{ending}" for kind, ending in endings.items()}


def write_files(transcript: Transcript, begin: Begin, files: dict[str, Path]) -> None:
    """Write a transcript; none of its files has its name before all are whole.

    Args:
        transcript: of a recording.
        begin: what was kept of it for the picture.
        files: as `files_of` gives them.
    """
    partial = {kind: file.with_name(f"{file.name}.partial") for kind, file in files.items()}
    try:
        for kind, file in partial.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            if kind == PLOT:
                draw_transcript(transcript, begin, file)
                continue
            with file.open("w", encoding="utf-8") as text:
                FORMATS[kind][1](transcript, text)
        for kind, file in files.items():
            partial[kind].replace(file)
    finally:
        for file in partial.values():
            file.unlink(missing_ok=True)
