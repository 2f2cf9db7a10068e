"""Is a store still what its manifest says, and do its arrays fit one another?"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.store import SPLITS, FrameStore, read_manifest
from phoneme_lightning.corpora.writer import sha256
from phoneme_lightning.errors import InputError

__all__ = ["check_store"]

_ROWS_AT_ONCE = 1 << 16


def check_store(path: Path) -> list[str]:
    """Verify every file of a store against the manifest, then the arrays against one another.

    Args:
        path: the store's folder.

    Returns:
        One line a problem, beginning with the file's name; no line if the store is sound.

    Raises:
        InputError: no store is at `path`, or its manifest cannot be read.
    """
    files = read_manifest(path)["files"]
    problems = list(_check_files(path, files))
    if not all((path / name).is_file() for name in files):
        return problems
    try:
        store = FrameStore(path)
    except InputError as error:
        return [*problems, str(error)]
    return problems + (list(_check_shapes(store)) or list(_check_contents(store)))


def _check_files(path: Path, files: dict[str, dict[str, int | str]]) -> Iterator[str]:
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            yield f"{name}: missing"
        elif file.stat().st_size != expected["bytes"]:
            yield f"{name}: {file.stat().st_size} bytes, the manifest says {expected['bytes']}"
        elif sha256(file) != expected["sha256"]:
            yield f"{name}: its SHA-256 is not the manifest's"


def _check_shapes(store: FrameStore) -> Iterator[str]:
    frames, utterances = store.manifest["counts"]["frames"], store.manifest["counts"]["utterances"]
    expected = {
        "features": ((frames, *store.features.shape[1:2]), np.float32),
        "labels": ((frames,), np.int8),
        "offsets": ((utterances + 1,), np.int64),
        "splits": ((len(store.schemes), utterances), np.uint8),
        "delta_maps": ((utterances, 13, 26), np.float32),
    }
    for name, (shape, dtype) in expected.items():
        array = getattr(store, name)
        if array is not None and (array.shape != shape or array.dtype != dtype):
            yield (
                f"{name}.npy: {array.shape} of {array.dtype}, "
                f"the manifest's counts ask for {shape} of {np.dtype(dtype)}"
            )
    lines = (store.path / "utterances.txt").read_text(encoding="utf-8").splitlines()
    if len(lines) != utterances:
        yield f"utterances.txt: {len(lines)} lines, the manifest counts {utterances} utterances"
    for number, line in enumerate(lines, start=1):
        if len(line.split("\t")) != 2:
            yield f"utterances.txt: line {number} is not an id, a tab and a speaker"


def _check_contents(store: FrameStore) -> Iterator[str]:
    if strangers := store.scored_as.keys() - set(store.phones):
        yield f"manifest.json: scored_as names {', '.join(sorted(strangers))}, of no class"
    if store.offsets[0] != 0 or store.offsets[-1] != len(store.features):
        yield (
            f"offsets.npy: from {store.offsets[0]} to {store.offsets[-1]}, "
            f"not from 0 to the {len(store.features)} frames"
        )
        return
    if (store.lengths < 1).any():
        yield f"offsets.npy: utterance {np.argmax(store.lengths < 1)} has no frame"
        return
    outside = np.flatnonzero((store.labels < -1) | (store.labels >= len(store.phones)))
    if len(outside):
        yield f"labels.npy: frame {outside[0]} is {store.labels[outside[0]]}, beyond the classes"
    if len(set(store.ids)) < len(store):
        yield "utterances.txt: an id stands twice"
    yield from _check_finite(store)
    yield from _check_splits(store)


def _check_finite(store: FrameStore) -> Iterator[str]:
    for name in ("features", "delta_maps"):
        array = getattr(store, name)
        for start in range(0, 0 if array is None else len(array), _ROWS_AT_ONCE):
            sound = np.isfinite(array[start : start + _ROWS_AT_ONCE])
            if not sound.all():
                row = start + int(np.argwhere(~sound)[0, 0])
                yield f"{name}.npy: row {row} is not finite"
                break


def _check_splits(store: FrameStore) -> Iterator[str]:
    if (store.splits >= len(SPLITS)).any():
        yield f"splits.npy: an utterance is in none of {', '.join(SPLITS)}"
    speakers = np.array(store.speakers)
    labelled = np.maximum.reduceat(store.labels, store.offsets[:-1]) >= 0
    for scheme in store.schemes:
        members = {name: store.split(scheme, name) for name in SPLITS}
        counts = {name: len(positions) for name, positions in members.items()}
        if counts != store.manifest["counts"]["splits"][scheme]:
            yield f"splits.npy: {scheme} has {counts}, the manifest counts otherwise"
        for name, positions in members.items():
            known = labelled[positions]
            if known.any() and not known.all():
                yield f"labels.npy: {name} of {scheme} has utterances with labels and without"
        if scheme == "speaker":
            shared = np.intersect1d(speakers[members["train"]], speakers[members["validation"]])
            if len(shared):
                yield f"splits.npy: {shared[0]} speaks in train and in validation of {scheme}"
    for one, other in itertools.pairwise(store.splits):
        if ((one == SPLITS.index("test")) != (other == SPLITS.index("test"))).any():
            yield "splits.npy: the schemes do not agree on test"
