"""A store with the test utterances to train on too, labelled by a prediction."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from phoneme_lightning.corpora.store import SPLITS, FrameStore
from phoneme_lightning.corpora.writer import StoreWriter, sha256
from phoneme_lightning.errors import InputError

__all__ = ["pseudo_label"]

PREFIX = "pseudo-"


def pseudo_label(store: FrameStore, classes: np.ndarray, out: Path) -> Path:
    """Write all of a store, and copies of test utterances with predicted labels as part of train.

    Lee 2013, "Pseudo-label". Validation and test stay as they are, and no label of the test split
    says anything about the copies. Where a scheme keeps the speakers of validation out of train,
    their test utterances are not copied, or they would speak in train.

    Args:
        store: a corpus.
        classes: (frames of the test split,), int, in the corpus's order.
        out: where the new store shall stand.

    Returns:
        The new store's folder.

    Raises:
        InputError: the prediction is not one of this test split, or the store's own place was
            given, or there are copies in it already.
    """
    if out.resolve() == store.path.resolve():
        raise InputError(f"--out is {out}, the store itself: give another place")
    if "pseudo_labels" in store.manifest["settings"]:
        raise InputError(f"store {store.path} has pseudo-labels: give the store it was made from")
    test = store.split(store.schemes[0], "test")
    lengths = store.lengths[test]
    if len(classes) != lengths.sum() or ((classes < 0) | (classes >= len(store.phones))).any():
        raise InputError(
            f"the prediction has {len(classes)} frames and classes {classes.min()} to "
            f"{classes.max()}, but the test split of {store.path} has {lengths.sum()} frames and "
            f"classes 0 to {len(store.phones) - 1}: give a prediction of this corpus"
        )
    kept_out = _speakers_kept_out(store)
    labels = np.split(classes, lengths.cumsum()[:-1])
    with StoreWriter(
        out, coefficients=store.coefficients, delta_maps=store.delta_maps is not None
    ) as writer:
        for position in range(len(store)):
            own = store[position]
            _copy(writer, store, position, own.id, own.labels)
        copied = 0
        for position, predicted in zip(test.tolist(), labels, strict=True):
            own = store[position]
            if own.speaker not in kept_out:
                _copy(writer, store, position, PREFIX + own.id, predicted)
                copied += 1
        if (store.path / "quarantine.csv").is_file():
            shutil.copy(store.path / "quarantine.csv", writer.partial)
        settings: dict[str, Any] = store.manifest["settings"] | {
            "pseudo_labels": {
                "store_manifest_sha256": sha256(store.path / "manifest.json"),
                "classes_sha256": hashlib.sha256(classes.astype(np.uint8).tobytes()).hexdigest(),
                "speakers_left_out": sorted(kept_out),
            }
        }
        more = np.full(copied, SPLITS.index("train"), dtype=np.uint8)
        counts = store.manifest["counts"]
        own_counts = {"quarantined": counts["quarantined"]} if "quarantined" in counts else {}
        return writer.finish(
            corpus=store.corpus,
            splits={
                scheme: np.concatenate([row, more])
                for scheme, row in zip(store.schemes, store.splits, strict=True)
            },
            settings=settings,
            counts=own_counts | {"pseudo_labelled": copied},
            phones=store.phones,
            scored_as=store.scored_as,
        )


def _speakers_kept_out(store: FrameStore) -> set[str]:
    """Give who speaks in the validation, but not in the train, of some scheme."""
    speakers = np.array(store.speakers)
    return {
        str(speaker)
        for scheme in store.schemes
        for speaker in np.setdiff1d(
            speakers[store.split(scheme, "validation")], speakers[store.split(scheme, "train")]
        )
    }


def _copy(
    writer: StoreWriter, store: FrameStore, position: int, name: str, labels: np.ndarray | None
) -> None:
    own = store[position]
    delta_map = None if store.delta_maps is None else store.delta_maps[position]
    writer.add(name, own.speaker, own.features, labels, delta_map)
