"""A recording of any length as a net's input: its cepstra on disk, normalised over the whole."""

import tempfile
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from phoneme_lightning.batch import Batch
from phoneme_lightning.corpora.audio import (
    COEFFICIENTS,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    SHIFT_SAMPLES,
    frame_count,
    mfcc,
)
from phoneme_lightning.corpora.sound import BadSound
from phoneme_lightning.data.deltas import with_deltas

__all__ = ["Cepstra", "Spool", "cepstra_of"]

REACH = 4
"""Frames each side that the deltas of deltas see."""
FRAMES_AT_ONCE = 6_000


class Spool:
    """Rows of equal shape that grow in a temporary file instead of in memory.

    Leaving its context closes the file; what `rows` gave stays.

    Args:
        dtype: of the numbers.
        shape: of a row.
    """

    def __init__(self, dtype: Any, *shape: int) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._dtype, self._shape = np.dtype(dtype), shape

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self._file.close()

    def append(self, rows: np.ndarray) -> None:
        """Add rows."""
        self._file.write(rows.astype(self._dtype, copy=False).tobytes())

    def rows(self) -> np.ndarray:
        """Give all rows, (rows, *shape), memory-mapped."""
        self._file.flush()
        size = self._file.tell() // (self._dtype.itemsize * int(np.prod(self._shape)))
        if not size:  # which no memory map can be
            return np.empty((0, *self._shape), dtype=self._dtype)
        return np.memmap(self._file, dtype=self._dtype, mode="r", shape=(size, *self._shape))


class Cepstra:
    """What the nets hear of a recording.

    The numbers are those that a frame store and `data.prepare` would give for the whole recording
    at once, whichever part of it is asked for.

    Args:
        cepstra: (frames, 13), float32, as `mfcc` gives them; at least one frame.
        seconds: how long the recording is.
    """

    def __init__(self, cepstra: np.ndarray, seconds: float) -> None:
        self._cepstra, self.seconds = cepstra, seconds
        count, width = len(cepstra), 3 * COEFFICIENTS
        total, squares = torch.zeros(2, width, dtype=torch.float64)
        for begin in range(0, count, FRAMES_AT_ONCE):
            part = self._with_deltas(begin, min(count, begin + FRAMES_AT_ONCE)).double()
            total += part.sum(dim=0)
            squares += part.square().sum(dim=0)
        mean = total / count
        deviation = ((squares - total * mean).clamp(min=0) / max(1, count - 1)).sqrt()
        constant = deviation <= 1e-5 * mean.abs() + 1e-5
        self._mean = mean.float()
        self._scale = deviation.reciprocal().masked_fill(constant, 0.0).float()

    def __len__(self) -> int:
        return len(self._cepstra)

    def _with_deltas(self, begin: int, end: int) -> Tensor:
        first, after = max(0, begin - REACH), min(len(self), end + REACH)
        part = torch.from_numpy(np.array(self._cepstra[first:after]))
        batch = with_deltas(Batch.collate([part], [None], [0]), "temporal")
        features: Tensor = batch.features[0, begin - first : end - first]
        return features

    def inputs(self, begin: int, end: int) -> Tensor:
        """Give normalised frames: cepstra, deltas, deltas of deltas.

        Args:
            begin: the first frame.
            end: the frame after the last.

        Returns:
            (end - begin, 39), float32.
        """
        normalised: Tensor = (self._with_deltas(begin, end) - self._mean) * self._scale
        return normalised


def cepstra_of(name: str, blocks: Iterable[np.ndarray]) -> Cepstra:
    """Compute a recording's cepstra while it is read.

    Args:
        name: the recording's.
        blocks: the recording, piece by piece: (samples,), float32, 16 kHz, full scale is 1.

    Raises:
        BadSound: it is shorter than a frame.
    """
    samples, rest = 0, np.empty(0, dtype=np.float32)
    with Spool(np.float32, COEFFICIENTS) as spool:
        for block in blocks:
            samples += len(block)
            known = np.concatenate([rest, block])
            spool.append(mfcc(known))
            rest = known[SHIFT_SAMPLES * frame_count(len(known)) :]
        if samples < FRAME_SAMPLES:
            ms = 1000 / SAMPLE_RATE
            there = f"{samples * ms:.3g} of {FRAME_SAMPLES * ms:g} ms"
            raise BadSound(name, "shorter than a frame", there)
        return Cepstra(spool.rows(), samples / SAMPLE_RATE)
