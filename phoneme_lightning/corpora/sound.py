"""Sound from anywhere, as one channel at 16 kHz; what is wrong with it is said in one line."""

import io
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from phoneme_lightning.corpora.audio import SAMPLE_RATE
from phoneme_lightning.errors import InputError

__all__ = ["SOUNDS", "BadSound", "read_audio", "seconds_of", "stream_audio"]

SOUNDS = {
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".aif", ".aiff", ".au", ".caf", ".w64", ".sph"),
}
"""How recordings end, in small letters."""
_UNKNOWN_LENGTH = 0x7FFF0000
"""From here on the length in a wav header is what a program writes that cannot know it yet: sox
0x7FFFF000, less what is no whole sample of all channels, others all bits or all but the first."""
_RATES = (1_000, 768_000)
_LOUDEST = 1e9
"""Of full scale. Integers that somebody stored as floats are less; cepstra of more overflow."""


class BadSound(InputError):
    """Sound that cannot be used.

    Args:
        name: of the recording.
        reason: one of a few fixed phrases.
        detail: what helps to find the place; may be empty.
    """

    def __init__(self, name: str, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        said = f"{reason} ({detail})" if detail else reason
        super().__init__(f"{name}: {said}: give another recording")


def _ignore(said: str) -> None:
    """Leave unsaid what a person should know."""


def read_audio(
    source: str | Path | BinaryIO, *, remark: Callable[[str], None] = _ignore
) -> np.ndarray:
    """Read a whole recording, in any format that libsndfile knows.

    Channels are averaged, other rates brought to SAMPLE_RATE by soxr.

    Args:
        source: a file, or a stream of bytes such as standard input.
        remark: is told what a person should know of a recording that can be used all the same.

    Returns:
        (samples,), float32, at SAMPLE_RATE, full scale is 1.

    Raises:
        BadSound: it is missing, empty, no sound, cut off, or holds what is no number or too loud.
    """
    return np.concatenate(list(stream_audio(source, 60.0, remark=remark)))


def stream_audio(
    source: str | Path | BinaryIO,
    block_seconds: float,
    *,
    remark: Callable[[str], None] = _ignore,
) -> Iterator[np.ndarray]:
    """Read a recording in blocks, in memory that does not grow with its length.

    A stream that cannot go back, such as a pipe, is first written to a temporary file.

    Args:
        source: a file, or a stream of bytes.
        block_seconds: how much to read at once.
        remark: is told what a person should know of a recording that can be used all the same:
            before the first block, but after the last that all was silent.

    Yields:
        (samples,), float32, at SAMPLE_RATE, full scale is 1: end to end what `read_audio` gives.

    Raises:
        BadSound: as `read_audio` does; what lies after the first block may be seen to be bad late.
    """
    with _open(source) as (name, file):
        if file.channels > 1:
            remark(f"{file.channels} channels: averaged")
        if file.samplerate < SAMPLE_RATE:
            above = file.samplerate / 2000
            remark(f"{file.samplerate} samples a second: nothing is heard above {above:g} kHz")
        brought, loudest = None, 0.0
        if file.samplerate != SAMPLE_RATE:
            brought = soxr.ResampleStream(file.samplerate, SAMPLE_RATE, 1, dtype="float32")
        size, done = max(1, round(block_seconds * file.samplerate)), 0
        while done < file.frames:
            try:
                block = file.read(size, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise BadSound(name, "cut off or damaged", str(error)) from error
            if not len(block):
                whole = f"{done} of {file.frames} samples"
                raise BadSound(name, "cut off or damaged", whole)
            peak = np.abs(block).max()
            if not peak <= _LOUDEST:  # NaN is not either
                bad = ~(np.abs(block) <= _LOUDEST).all(axis=1)
                place = (done + bad.argmax()) / file.samplerate
                what = "impossibly loud" if np.isfinite(peak) else "holds NaN or infinity"
                raise BadSound(name, what, f"at {place:.2f} s")
            done, loudest = done + len(block), max(loudest, peak)
            mono: np.ndarray = block.mean(axis=1)
            yield mono if brought is None else brought.resample_chunk(mono, done >= file.frames)
        if not loudest:
            remark("silent: every sample is 0")


def seconds_of(source: str | Path) -> float:
    """Give how long a recording is, by its header.

    Raises:
        BadSound: it cannot be opened.
    """
    with _open(source) as (_, file):
        return float(file.frames / file.samplerate)


@contextmanager
def _open(source: str | Path | BinaryIO) -> Iterator[tuple[str, soundfile.SoundFile]]:
    """Open sound and refuse what its header tells to be bad; give its name beside it."""
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise BadSound(str(path), "no such file")
        try:
            with path.open("rb") as stream, _decode(str(path), stream) as file:
                yield str(path), file
        except OSError as error:
            raise BadSound(str(path), "cannot be read", error.strerror or "") from error
        return
    name = getattr(source, "name", None)
    name = name if isinstance(name, str) else "the stream"
    name = "standard input" if name == "<stdin>" else name
    if source.seekable():
        with _decode(name, source) as file:
            yield name, file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(source, copy)
        copy.seek(0)
        with _decode(name, copy) as file:
            yield name, file


@contextmanager
def _decode(name: str, stream: BinaryIO) -> Iterator[soundfile.SoundFile]:
    begin = stream.tell()
    if stream.seek(0, io.SEEK_END) == begin:
        raise BadSound(name, "empty")
    stream.seek(begin)
    head = stream.read(1024)  # all of the header of a NIST sphere file
    stream.seek(begin)
    try:
        file = soundfile.SoundFile(stream)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise BadSound(name, "not audio", str(error).split(": ")[-1]) from error
    with file:
        # libsndfile reads on when a header promises more than there is; its log alone tells.
        promised = re.search(r"data *: (\d+) \(should be (\d+)\)", file.extra_info)
        if promised and int(promised[2]) < int(promised[1]) < _UNKNOWN_LENGTH:
            raise BadSound(name, "cut off or damaged", f"{promised[2]} of {promised[1]} bytes")
        claimed = re.search(rb"NIST_1A.*sample_count -i (\d+)", head, re.DOTALL)
        if claimed and file.frames < int(claimed[1]):
            whole = f"{file.frames} of {int(claimed[1])} samples"
            raise BadSound(name, "cut off or damaged", whole)
        if not file.frames:
            raise BadSound(name, "without a sample", _unsaid(head, stream))
        if not _RATES[0] <= file.samplerate <= _RATES[1]:
            raise BadSound(name, "no possible rate", f"{file.samplerate} samples a second")
        yield file


def _unsaid(head: bytes, stream: BinaryIO) -> str:
    """Say so where a wav header that promises no sound is followed by something."""
    place = head.find(b"data\0\0\0\0") if head.startswith(b"RIFF") else -1
    follow = stream.seek(0, io.SEEK_END) - place - 8
    if place < 0 or not follow:
        return ""
    return f"its header says 0 bytes, but {follow} follow; sox --ignore-length reads them as sound"
