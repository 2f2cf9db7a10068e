"""Nets that hear recordings together, in overlapping chunks: probabilities of each frame."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from phoneme_lightning.batch import Batch
from phoneme_lightning.data.deltas import Deltas
from phoneme_lightning.data.module import input_features
from phoneme_lightning.inference.cepstra import Cepstra
from phoneme_lightning.inference.load import check_hears_recordings, load_classifier
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.record import read_record
from phoneme_lightning.training.trainer import AUTOCAST, Precision, allow_tf32, resolve_precision

__all__ = ["Chunk", "Net", "calculating", "chunks", "hear"]

CHUNK_FRAMES = 2_000
CONTEXT_FRAMES = 300
"""Frames each side of a chunk that are heard with it: 3 s."""
FRAMES_PER_BATCH = 64_000
"""Padding included. A recurrent layer reads its weights once a frame, for however many chunks."""


@contextmanager
def calculating(device: torch.device, precision: Precision) -> Iterator[None]:
    """Calculate as a test does in this precision on this device, without gradients."""
    if device.type == "cuda":
        allow_tf32(precision != "32-true")
    dtype = AUTOCAST.get(precision)
    autocast = torch.autocast(device.type, dtype) if dtype else nullcontext()
    with torch.inference_mode(), autocast:
        yield


@dataclass(frozen=True, eq=False)
class Net:
    """A trained net, ready to hear.

    Attributes:
        checkpoint: where it is from.
        classifier: in evaluation mode, on the device that it shall hear on.
        phones: the names of its classes.
        features: coefficients a frame that it takes.
        precision: what it is calculated in.
        device: where.
    """

    checkpoint: str
    classifier: PhonemeClassifier
    phones: tuple[str, ...]
    features: int
    precision: Precision
    device: torch.device

    @classmethod
    def open(cls, checkpoint: str) -> "Net":
        """Load a net, onto the GPU where there is one.

        Raises:
            InputError: there is no such checkpoint, or it needs what no recording holds.
        """
        record = read_record(checkpoint)
        config = record["config"]
        deltas: Deltas = config["data"]["deltas"]
        check_hears_recordings(checkpoint, config)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        classifier = load_classifier(checkpoint)[0].to(device)
        precision = resolve_precision(config["trainer"]["precision"])
        phones, features = tuple(record["phones"]), input_features(deltas)
        return cls(checkpoint, classifier, phones, features, precision, device)

    def log_probabilities(self, batch: Batch) -> np.ndarray:
        """Hear chunks: (batch, frames, 39) to (batch, frames, classes), natural logarithms."""
        features = batch.features[..., : self.features].contiguous()
        with calculating(self.device, self.precision):
            logits = self.classifier(batch.with_features(features).to(self.device))
            heard: np.ndarray = logits.float().log_softmax(-1).cpu().numpy()
        return heard


class Chunk(NamedTuple):
    """A part of a recording that is heard at once.

    Attributes:
        begin: the first frame that is heard.
        first: the first frame of which the classes are taken from this chunk.
        after: the frame after the last such one.
        end: the frame after the last one that is heard.
    """

    begin: int
    first: int
    after: int
    end: int


def chunks(frames: int) -> list[Chunk]:
    """Part a recording, if it is long, in chunks that are heard with what surrounds them."""
    if frames <= CHUNK_FRAMES + 2 * CONTEXT_FRAMES:
        return [Chunk(0, 0, frames, frames)]
    parts = []
    for first in range(0, frames, CHUNK_FRAMES):
        after = min(frames, first + CHUNK_FRAMES)
        begin, end = max(0, first - CONTEXT_FRAMES), min(frames, after + CONTEXT_FRAMES)
        parts.append(Chunk(begin, first, after, end))
    return parts


def hear(nets: Sequence[Net], recordings: Sequence[Cepstra]) -> Iterator[tuple[int, np.ndarray]]:
    """Give the mean log-probabilities of the classes, some frames at a time, from first to last.

    Args:
        nets: of the same classes, at least one.
        recordings: any; least is padded if neighbours are about as long.

    Yields:
        Which recording, one after the other, and (frames, classes), float32, natural logarithms.
    """
    parts = [(which, part) for which, x in enumerate(recordings) for part in chunks(len(x))]
    for batch in _batches(parts):
        rows = [recordings[which].inputs(part.begin, part.end) for which, part in batch]
        whole = Batch.collate(rows, [None] * len(rows), list(range(len(rows))))
        total = np.mean([net.log_probabilities(whole) for net in nets], axis=0)
        for (which, part), heard in zip(batch, total, strict=True):
            mean = heard[part.first - part.begin : part.after - part.begin]
            yield which, mean - np.logaddexp.reduce(mean, axis=1, keepdims=True)


def _batches(parts: Sequence[tuple[int, Chunk]]) -> Iterator[list[tuple[int, Chunk]]]:
    """Part what is to be heard, without a change of order."""
    batch: list[tuple[int, Chunk]] = []
    longest = 0
    for which, part in parts:
        longest = max(longest, part.end - part.begin)
        if batch and longest * (len(batch) + 1) > FRAMES_PER_BATCH:
            yield batch
            batch, longest = [], part.end - part.begin
        batch.append((which, part))
    if batch:
        yield batch
