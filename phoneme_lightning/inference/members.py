"""The nets of an ensemble: their checkpoints, the corpus that all share, and what they hear."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.loader import BatchLoader
from phoneme_lightning.data.module import (
    EVALUATION_FRAMES_PER_BATCH,
    EVALUATION_FRAMES_PER_BATCH_ON_GPU,
    PhonemeDataModule,
    prepare,
)
from phoneme_lightning.data.sampler import BucketSampler
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.hearing import calculating
from phoneme_lightning.inference.load import load_classifier
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.record import find_corpus, read_record
from phoneme_lightning.training.trainer import (
    Precision,
    resolve_precision,
)

__all__ = ["Member", "check_members", "log_probabilities"]


@dataclass(frozen=True)
class Member:
    """A net of an ensemble.

    Attributes:
        checkpoint: a .ckpt file of a fit.
        data: the corpus and the split that it was validated on.
        precision: what it is calculated in, as in a test of it.
        step: after how many steps it was saved.
    """

    checkpoint: str
    data: PhonemeDataModule
    precision: Precision
    step: int

    @classmethod
    def open(cls, checkpoint: str, root: str | None = None) -> "Member":
        """Find what belongs to a checkpoint; its weights are not read yet.

        Args:
            checkpoint: a .ckpt file of a fit.
            root: folder of the frame stores; that of the fit, if None.

        Raises:
            InputError: there is no such checkpoint, or its corpus is not here.
        """
        record = read_record(checkpoint)
        settings, corpus = record["config"]["data"], record["resolved"]["corpus"]
        if root is None:
            root = settings["root"]
            corpus = find_corpus(record, root)
        data = PhonemeDataModule(
            corpus=corpus, root=root, split=settings["split"], deltas=settings["deltas"]
        )
        precision = resolve_precision(record["config"]["trainer"]["precision"])
        return cls(checkpoint, data, precision, record["step"])

    def marks(self) -> dict[str, str]:
        """Give a digest of what there is to hear and to know in validation and in test."""
        store, marks = self.data.store, {}
        ids = store.ids
        for name in ("validation", "test"):
            digest = hashlib.blake2b()
            for position in self.data.positions(name).tolist():
                span = slice(*store.offsets[position : position + 2])
                digest.update(ids[position].encode())
                digest.update(store.features[span].tobytes())
                digest.update(store.labels[span].tobytes())
            marks[name] = digest.hexdigest()
        return marks


def check_members(members: Sequence[Member]) -> None:
    """Refuse nets that do not predict the same utterances.

    Raises:
        InputError: it names the first two that differ.
    """
    first, *others = members
    marks = first.marks()
    for other in others:
        theirs = other.marks()
        for name in marks:
            if marks[name] != theirs[name]:
                one, two = (
                    f"{x.checkpoint} ({x.data.store.path}, by {x.data.split})"
                    for x in (first, other)
                )
                raise InputError(
                    f"{one} and {two} have other {name} utterances: "
                    "give checkpoints of one corpus and one data.split"
                )


def log_probabilities(member: Member, names: Sequence[str]) -> list[np.ndarray]:
    """Hear whole splits with one net, on the GPU where there is one.

    Args:
        member: the net.
        names: of the splits: validation, test.

    Returns:
        Of each split (frames, classes), float32, natural logarithms: its utterances end to end, in
        the corpus's order.
    """
    classifier, _ = load_classifier(member.checkpoint)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classifier.to(device)
    with calculating(device, member.precision):
        return [_hear(classifier, member.data, name, device) for name in names]


def _hear(
    classifier: PhonemeClassifier, data: PhonemeDataModule, name: str, device: torch.device
) -> np.ndarray:
    positions, store = data.positions(name), data.store
    lengths = store.lengths[positions]
    frames_per_batch = (
        EVALUATION_FRAMES_PER_BATCH_ON_GPU if device.type == "cuda" else EVALUATION_FRAMES_PER_BATCH
    )
    sampler = BucketSampler(lengths, frames_per_batch, shuffle=False)
    batches = BatchLoader(
        Frames(store, device), positions, sampler, delta_maps=data.deltas == "file"
    )
    begins = dict(zip(positions.tolist(), (lengths.cumsum() - lengths).tolist(), strict=True))
    heard = np.empty((lengths.sum(), classifier.num_classes), dtype=np.float32)
    console = Console(stderr=True)
    hidden = not console.is_terminal
    for stored in track(batches, f"  {name}", console=console, transient=True, disable=hidden):
        batch = prepare(stored.to(device), data.deltas)
        rows = classifier(batch).float().log_softmax(-1).cpu().numpy()
        utterances = zip(batch.utterances.tolist(), batch.lengths.tolist(), rows, strict=True)
        for utterance, length, row in utterances:
            heard[begins[utterance] : begins[utterance] + length] = row[:length]
    return heard
