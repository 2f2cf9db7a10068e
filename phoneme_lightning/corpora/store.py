"""The frame store: a corpus packed into memory-mapped arrays beside a manifest.

A store is a folder:

    features.npy    (frames, coefficients), float32: all utterances end to end
    labels.npy      (frames,), int8: classes, -1 where nothing is known
    offsets.npy     (utterances + 1,), int64: where each utterance begins
    splits.npy      (schemes, utterances), uint8: 0 train, 1 validation, 2 test
    utterances.txt  one line each: the utterance's id, a tab, its speaker
    delta_maps.npy  (utterances, 13, 26), float32: only where the corpus has deltas of its own
    manifest.json   what made it, settings, counts, and each file's size and SHA-256
"""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import PHONES

__all__ = ["FORMAT", "FRAME_SHIFT_MS", "SPLITS", "FrameStore", "Utterance", "read_manifest"]

FORMAT = 1
SPLITS = ("train", "validation", "test")
FRAME_SHIFT_MS = 10


@dataclass(frozen=True)
class Utterance:
    """One utterance of a store.

    Attributes:
        id: the corpus's own name of it.
        speaker: who speaks.
        features: (frames, coefficients), float32.
        labels: (frames,), int8, -1 where a frame has none; None where the corpus gives none.
    """

    id: str
    speaker: str
    features: np.ndarray
    labels: np.ndarray | None


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of the store at `path`.

    Raises:
        InputError: there is no whole store, or this version cannot read it.
    """
    file = path / "manifest.json"
    if not file.is_file():
        raise InputError(f"no frame store at {path}: make one with `phoneme-data prepare`")
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} cannot be read ({error}): prepare the corpus again") from error
    if found != FORMAT:
        raise InputError(
            f"{path} is a frame store of format {found}, this version reads {FORMAT}: "
            "prepare the corpus again"
        )
    return manifest


class FrameStore:
    """A prepared corpus, opened without reading it: arrays are memory-mapped.

    Args:
        path: the store's folder.

    Raises:
        InputError: there is no whole store at `path`, or this version cannot read it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        self.features: np.ndarray = self._open("features")
        self.labels: np.ndarray = self._open("labels")
        self.offsets: np.ndarray = self._open("offsets")
        self.splits: np.ndarray = self._open("splits")
        self.delta_maps: np.ndarray | None = (
            self._open("delta_maps") if "delta_maps.npy" in self.manifest["files"] else None
        )

    def _open(self, name: str) -> np.ndarray:
        try:
            array: np.ndarray = np.load(self.path / f"{name}.npy", mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{self.path / name}.npy cannot be read ({error}): prepare the corpus again"
            ) from error
        return array

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def corpus(self) -> str:
        """The name of the corpus that was packed."""
        return str(self.manifest["corpus"])

    @property
    def phones(self) -> tuple[str, ...]:
        """The names of the classes, in order; of a store that does not name them, PHONES."""
        return tuple(self.manifest.get("phones", PHONES))

    @property
    def scored_as(self) -> dict[str, str]:
        """Phone -> the phone as which it is scored; empty where every phone is scored as itself."""
        return dict(self.manifest.get("scored_as", {}))

    @property
    def scored_phones(self) -> tuple[str, ...]:
        """The names of the classes that are told apart in scores, in order."""
        return tuple(dict.fromkeys(self.scored_as.get(phone, phone) for phone in self.phones))

    @property
    def fold(self) -> np.ndarray:
        """Class -> place among `scored_phones`, (classes,), int64."""
        scored = self.scored_phones
        return np.array([scored.index(self.scored_as.get(x, x)) for x in self.phones])

    @property
    def coefficients(self) -> int:
        """Numbers a frame."""
        return int(self.features.shape[1])

    @property
    def schemes(self) -> tuple[str, ...]:
        """The ways in which this store is split, in the order of the rows of `splits`."""
        return tuple(self.manifest["schemes"])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each utterance, (utterances,), int64."""
        return np.diff(self.offsets)

    @cached_property
    def _names(self) -> list[list[str]]:
        lines = (self.path / "utterances.txt").read_text(encoding="utf-8").splitlines()
        return [line.split("\t") for line in lines]

    @property
    def ids(self) -> list[str]:
        """Each utterance's id."""
        return [name[0] for name in self._names]

    @property
    def speakers(self) -> list[str]:
        """Each utterance's speaker."""
        return [name[1] for name in self._names]

    def split(self, scheme: str, name: str) -> np.ndarray:
        """Give the positions of a split's utterances, in the corpus's order.

        Args:
            scheme: one of `schemes`, such as "utterance" or "speaker".
            name: one of SPLITS.

        Raises:
            InputError: the store has no such scheme.
        """
        if scheme not in self.schemes:
            raise InputError(
                f"data.split is {scheme!r}, but {self.path} is split by: {', '.join(self.schemes)}"
            )
        row = self.splits[self.schemes.index(scheme)]
        return np.flatnonzero(row == SPLITS.index(name))

    def rejected(self, split: str) -> list[str]:
        """Give the ids that were quarantined from a split of the corpus, "train" or "test"."""
        path = self.path / "quarantine.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [row["id"] for row in csv.DictReader(file) if row["split"] == split]

    def has_labels(self, positions: np.ndarray) -> bool:
        """Tell whether the first of these utterances has labels; a split has all or none."""
        return len(positions) > 0 and self[int(positions[0])].labels is not None

    def __getitem__(self, position: int) -> Utterance:
        start, stop = self.offsets[position], self.offsets[position + 1]
        labels = self.labels[start:stop]
        known = labels if (labels >= 0).any() else None
        name, speaker = self._names[position]
        return Utterance(name, speaker, self.features[start:stop], known)
