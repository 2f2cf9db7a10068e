"""Which recordings are meant, and how what is made of them is named."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.sound import oddities, stream_audio
from phoneme_lightning.errors import InputError

__all__ = ["Recording", "find_recordings"]

ENDINGS = {
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".aif", ".aiff", ".au", ".caf", ".w64", ".sph"),
}
"""What counts as a recording in a folder, in small letters or large."""
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

    def oddities(self) -> list[str]:
        """Say what a person should know of it before trusting a transcript."""
        return [] if self.path is None else oddities(self.path)

    def blocks(self) -> Iterator[np.ndarray]:
        """Read it: (samples,), float32, 16 kHz, a piece at a time.

        Raises:
            BadSound: it cannot be read.
        """
        return stream_audio(self.path or sys.stdin.buffer, BLOCK_SECONDS)


def find_recordings(words: Sequence[str]) -> list[Recording]:
    """Find recordings.

    Args:
        words: files, folders that are looked through, or "-" alone: standard input.

    Raises:
        InputError: a file or a folder is missing, is an exported net, or holds no recording, or
            what is made of two would have one name.
    """
    if list(words) == ["-"]:
        return [Recording(None, "stdin")]
    if "-" in words:
        raise InputError("- (standard input) goes by itself: give the files apart")
    found: dict[str, Recording] = {}
    for word in words:
        place = Path(word)
        if not place.exists():
            raise InputError(f"{word} is not there: give recordings, a folder of them, or -")
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        beside = place.iterdir() if place.is_dir() else inside
        if EXPORTED & {file.suffix.lower() for file in beside}:
            raise InputError(f"{word} is an exported net: give the .ckpt that it was made from")
        files = [x for x in inside if x == place or x.suffix.lower() in ENDINGS]
        if place.is_dir() and not files:
            raise InputError(f"{word} holds no recording: give one that does")
        for file in files:
            base = place if place.is_dir() else place.parent
            stem = file.relative_to(base).with_suffix("").as_posix()
            if stem in found:
                raise InputError(
                    f"{found[stem].name} and {file} would both become {stem}: give them apart"
                )
            found[stem] = Recording(file, stem)
    return list(found.values())
