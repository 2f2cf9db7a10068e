"""Which recordings are meant, and how what is made of them is named."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.sound import SOUNDS, stream_audio
from phoneme_lightning.errors import InputError

__all__ = ["Recording", "find_recordings"]

EXPORTED = {".onnx", ".safetensors"}
"""How nets end that `export` wrote."""
BLOCK_SECONDS = 30.0


@dataclass(frozen=True)
class Recording:
    """A recording that shall be transcribed.

    Attributes:
        path: where it is; None for standard input.
        stem: under which what is made of it goes: its path inside a given folder, else its name,
            without the ending.
    """

    path: Path | None
    stem: str

    @property
    def name(self) -> str:
        """What a person knows it by."""
        return "standard input" if self.path is None else str(self.path)

    def blocks(self, remark: Callable[[str], None]) -> Iterator[np.ndarray]:
        """Read it: (samples,), float32, 16 kHz, a piece at a time.

        Args:
            remark: is told what a person should know of it before trusting a transcript.

        Raises:
            BadSound: it cannot be read.
        """
        return stream_audio(self.path or sys.stdin.buffer, BLOCK_SECONDS, remark=remark)


def find_recordings(words: Sequence[str]) -> tuple[list[Recording], list[str]]:
    """Find recordings.

    Args:
        words: files, folders that are looked through, or "-" alone: standard input.

    Returns:
        The recordings, each once, and a line of each word or file that is left out: it is not
        there, holds no recording, or what is made of it would have the name of another's.

    Raises:
        InputError: standard input does not go by itself, or a word is an exported net.
    """
    if list(words) == ["-"]:
        return [Recording(None, "stdin")], []
    if "-" in words:
        raise InputError("- (standard input) goes by itself: give the files apart")
    found: dict[str, Recording] = {}
    left_out: list[str] = []
    for word in words:
        place = Path(word)
        if not place.exists():
            left_out.append(f"{word} is not there: give recordings, a folder of them, or -")
            continue
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        beside = place.iterdir() if place.is_dir() else inside
        if EXPORTED & {file.suffix.lower() for file in beside}:
            raise InputError(f"{word} is an exported net: give the .ckpt that it was made from")
        files = [x for x in inside if x == place or x.suffix.lower() in SOUNDS]
        if place.is_dir() and not files:
            left_out.append(f"{word} holds no recording: give one that does")
        for file in files:
            base = place if place.is_dir() else place.parent
            stem = file.relative_to(base).with_suffix("").as_posix()
            other = found.setdefault(stem, Recording(file, stem))
            if other.path and other.path.resolve() != file.resolve():
                left_out.append(f"{file} would become {stem} as {other.name} does: give them apart")
    return list(found.values()), left_out
