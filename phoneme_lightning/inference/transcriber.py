"""Nets and a decoder that make transcripts of recordings of any length."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.audio import SAMPLE_RATE, SHIFT_SAMPLES
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.cepstra import Cepstra, Spool, cepstra_of
from phoneme_lightning.inference.hearing import Net, hear
from phoneme_lightning.inference.saved_decoder import FILE, SavedDecoder
from phoneme_lightning.inference.transcripts import Transcript
from phoneme_lightning.inference.viterbi import OnlineViterbi

__all__ = ["Begin", "Read", "Transcriber", "read_recording"]

Told = Callable[[float, float | None], None]
"""Is told how many seconds of a recording are done, and of how many, if that is known."""


class Begin:
    """The first seconds of a recording, kept for a picture while they pass.

    Args:
        seconds: how many.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._samples: list[np.ndarray] = []
        self._heard: list[np.ndarray] = []

    def keep_samples(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Hand on what passes, (samples,)."""
        return _keep(blocks, self._samples, round(self.seconds * SAMPLE_RATE))

    def keep_heard(self, heard: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Hand on what passes, (frames, classes)."""
        return _keep(heard, self._heard, round(self.seconds * SAMPLE_RATE / SHIFT_SAMPLES))

    @property
    def samples(self) -> np.ndarray:
        """(samples,), float32, 16 kHz."""
        return np.concatenate(self._samples)

    @property
    def probabilities(self) -> np.ndarray:
        """(frames, classes), float32."""
        probabilities: np.ndarray = np.exp(np.concatenate(self._heard))
        return probabilities


def _keep(rows: Iterable[np.ndarray], kept: list[np.ndarray], most: int) -> Iterator[np.ndarray]:
    for some in rows:
        left = most - sum(map(len, kept))
        if left > 0:
            kept.append(some[:left])
        yield some


@dataclass(frozen=True, eq=False)
class Read:
    """A recording that was read, and has yet to be heard.

    Attributes:
        name: the recording's.
        stem: under which its transcript goes: a path without the ending.
        cepstra: of it.
        begin: keeps its first seconds.
        told: is told of seconds heard.
    """

    name: str
    stem: str
    cepstra: Cepstra
    begin: Begin
    told: Told


def read_recording(
    name: str,
    blocks: Iterable[np.ndarray],
    *,
    begin: Begin,
    stem: str = "",
    told: Told = lambda done, whole: None,
) -> Read:
    """Read a recording; what grows with its length is on disk.

    Args:
        name: the recording's.
        blocks: the recording, piece by piece: (samples,), float32, 16 kHz, full scale is 1.
        begin: keeps the first seconds.
        stem: under which its transcript goes; the name, if empty.
        told: is told of seconds read, and later of seconds heard.

    Raises:
        BadSound: the recording cannot be read, or is too short.
    """
    passing = begin.keep_samples(_tell(blocks, told, 1 / SAMPLE_RATE))
    return Read(name, stem or name, cepstra_of(name, passing), begin, told)


@dataclass(frozen=True, eq=False)
class Transcriber:
    """What hears and decodes.

    Attributes:
        nets: of the same classes; their log-probabilities are averaged.
        saved: what decodes; None for each frame's likeliest class.
    """

    nets: tuple[Net, ...]
    saved: SavedDecoder | None

    @classmethod
    def open(cls, checkpoints: Sequence[str], phones: str | None = None) -> "Transcriber":
        """Load nets and what decodes.

        Args:
            checkpoints: .ckpt files of fits, at least one.
            phones: a phones.json; the one beside the first checkpoint, if None and there is one.

        Raises:
            InputError: something is missing or does not go together.
        """
        nets = tuple(Net.open(checkpoint) for checkpoint in checkpoints)
        for net in nets:
            if net.phones != nets[0].phones:
                raise InputError(
                    f"{net.checkpoint} tells other phones apart than {checkpoints[0]}: give nets "
                    "that were fitted to the same"
                )
        file = Path(phones) if phones else Path(checkpoints[0]).with_name(FILE)
        saved = SavedDecoder.read(file) if phones or file.exists() else None
        if saved and saved.phones != nets[0].phones:
            raise InputError(f"--phones {file} is of other phones than {checkpoints[0]}")
        return cls(nets, saved)

    def hear(self, recordings: Sequence[Read]) -> Iterator[Transcript]:
        """Give the transcripts of recordings, in their order.

        Short ones are heard side by side, for which those next to each other should be about as
        long: a net takes several in hardly more time than one.
        """
        heard = hear(self.nets, [recording.cepstra for recording in recordings])
        for which, parts in groupby(heard, key=itemgetter(0)):
            recording = recordings[which]
            seconds = recording.cepstra.seconds
            logs = (logs for _, logs in parts)
            passing = _tell(logs, recording.told, SHIFT_SAMPLES / SAMPLE_RATE, seconds)
            with Spool(np.uint8) as classes, Spool(np.float32) as probabilities:
                for path, some in self._paths(recording.begin.keep_heard(passing)):
                    classes.append(path)
                    probabilities.append(np.exp(some[np.arange(len(path)), path]))
                transcript = Transcript(
                    recording.name,
                    recording.stem,
                    seconds,
                    self.nets[0].phones,
                    classes.rows(),
                    probabilities.rows(),
                    tuple(net.checkpoint for net in self.nets),
                    self.saved is not None,
                )
            yield transcript

    def _paths(self, heard: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give classes, (frames,), and what was heard of those frames, (frames, classes)."""
        if self.saved is None:
            for logs in heard:
                yield logs.argmax(axis=1).astype(np.uint8), logs
            return
        online = OnlineViterbi(self.saved.model, self.saved.decoder)
        waiting = np.empty((0, len(self.saved.phones)), dtype=np.float32)
        for logs in heard:
            waiting = np.concatenate([waiting, logs])
            path = online.push(logs)
            yield path, waiting[: len(path)]
            waiting = waiting[len(path) :]
        yield online.finish(), waiting


def _tell(
    rows: Iterable[np.ndarray], told: Told, seconds_a_row: float, whole: float | None = None
) -> Iterator[np.ndarray]:
    done = 0
    for some in rows:
        yield some
        done += len(some)
        told(done * seconds_a_row, whole)
