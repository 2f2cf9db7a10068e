"""Writing a frame store: a stream of utterances in, a whole folder out or none at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from filelock import FileLock

from phoneme_lightning.corpora.store import FORMAT, SPLITS
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import PHONES

__all__ = ["StoreWriter", "sha256"]

_BLOCK = 1 << 20


def sha256(path: Path) -> str:
    """Give a file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _GrowingArray:
    """An .npy file that grows along its first axis; its header is written last.

    NumPy pads headers so that the first axis can grow to any length in place.
    """

    def __init__(self, path: Path, row: tuple[int, ...], dtype: np.dtype) -> None:
        self.row, self.dtype, self.count = row, dtype, 0
        self.file: BinaryIO = path.open("wb")
        self._write_header()

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.count, *self.row),
        }
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, rows: np.ndarray) -> None:
        self.file.write(np.ascontiguousarray(rows, dtype=self.dtype).tobytes())
        self.count += len(rows)

    def close(self) -> None:
        self.file.seek(0)
        self._write_header()
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()


class StoreWriter:
    """Write a store into a temporary folder beside its place; rename it there when it is whole.

    Use as a context manager and call `finish` at the end: left without it, by an error or by
    Ctrl-C, nothing remains, and an older store at the same place stays as it was.

    Args:
        path: where the store shall stand.
        coefficients: numbers a frame.
        delta_maps: whether each utterance brings the map of its own deltas.

    Raises:
        InputError: something else than a store stands at `path`; it is not replaced.
    """

    def __init__(self, path: str | Path, *, coefficients: int, delta_maps: bool = False) -> None:
        self.path = Path(path).resolve()
        replaceable = self.path.is_dir() and (
            (self.path / "manifest.json").is_file() or not any(self.path.iterdir())
        )
        if self.path.exists() and not replaceable:
            raise InputError(f"{self.path} exists and is no frame store: give another --out")
        self.partial, self.old, lock = (
            self.path.with_name(f".{self.path.name}.{word}") for word in ("partial", "old", "lock")
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(lock)
        self._lock.acquire()  # another prepare of the same store is waited for
        if self.old.exists() and not self.path.exists():
            self.old.rename(self.path)  # a kill came between the two renames of `finish`
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir()
        self._features = self._array("features", (coefficients,), np.float32)
        self._labels = self._array("labels", (), np.int8)
        self._maps = self._array("delta_maps", (13, 26), np.float32) if delta_maps else None
        self._names = (self.partial / "utterances.txt").open("w", encoding="utf-8", newline="\n")
        self._offsets = [0]

    def _array(self, name: str, row: tuple[int, ...], dtype: type) -> _GrowingArray:
        return _GrowingArray(self.partial / f"{name}.npy", row, np.dtype(dtype))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self._lock.release()

    def add(
        self,
        utterance: str,
        speaker: str,
        features: np.ndarray,
        labels: np.ndarray | None,
        delta_map: np.ndarray | None = None,
    ) -> None:
        """Append an utterance.

        Args:
            utterance: its id, without tabs or newlines.
            speaker: who speaks.
            features: (frames, coefficients), float32, at least one frame.
            labels: (frames,), classes, -1 for a frame without one; None where there are none.
            delta_map: (13, 26), float32, where the store has delta maps.
        """
        self._features.append(features)
        self._labels.append(np.full(len(features), -1) if labels is None else labels)
        if self._maps is not None:
            assert delta_map is not None
            self._maps.append(delta_map[None])
        self._names.write(f"{utterance}\t{speaker}\n")
        self._offsets.append(self._offsets[-1] + len(features))

    def finish(
        self,
        *,
        corpus: str,
        splits: dict[str, np.ndarray],
        settings: dict[str, Any],
        counts: dict[str, Any],
        phones: Sequence[str] = PHONES,
        scored_as: Mapping[str, str] | None = None,
    ) -> Path:
        """Write what is left, then put the store in its place.

        Args:
            corpus: the corpus's name.
            splits: for each scheme, (utterances,), an index into SPLITS for each utterance.
            settings: what a person would need to make the same store again.
            counts: anything counted on the way (quarantined utterances, say).
            phones: the names of the classes, in order.
            scored_as: phone -> the phone as which it is scored, where the two differ.

        Returns:
            The store's folder.
        """
        for array in (self._features, self._labels, self._maps):
            if array is not None:
                array.close()
        self._names.close()
        np.save(self.partial / "offsets.npy", np.array(self._offsets, dtype=np.int64))
        np.save(self.partial / "splits.npy", np.stack(list(splits.values())).astype(np.uint8))
        manifest = {
            "format": FORMAT,
            "corpus": corpus,
            "schemes": list(splits),
            "phones": list(phones),
            **({"scored_as": dict(scored_as)} if scored_as else {}),
            "settings": settings,
            "counts": {
                "utterances": len(self._offsets) - 1,
                "frames": self._offsets[-1],
                "splits": {
                    scheme: {name: int((rows == index).sum()) for index, name in enumerate(SPLITS)}
                    for scheme, rows in splits.items()
                },
                **counts,
            },
            "files": {
                file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)}
                for file in sorted(self.partial.iterdir())
            },
        }
        text = json.dumps(manifest, indent=2) + "\n"
        (self.partial / "manifest.json").write_text(text, encoding="utf-8")
        shutil.rmtree(self.old, ignore_errors=True)
        if self.path.exists():
            self.path.rename(self.old)
        self.partial.rename(self.path)
        shutil.rmtree(self.old, ignore_errors=True)
        return self.path
