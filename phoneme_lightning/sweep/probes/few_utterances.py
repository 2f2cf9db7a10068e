"""A corpus cut to a few utterances, for a probe that the whole would take too long for."""

from itertools import chain
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.store import SPLITS, FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.errors import InputError

__all__ = ["cut_corpus"]

VALIDATION = 16
"""Utterances of the validation set that are kept, for the fit to have one."""


def cut_corpus(store: FrameStore, scheme: str, utterances: int, into: Path) -> Path:
    """Write a frame store of the first few training utterances; of the test split, none.

    Args:
        store: the whole.
        scheme: how it is split.
        utterances: of the training set, to keep.
        into: folder of such stores.

    Returns:
        The store, which is made once.

    Raises:
        InputError: so many there are not.
    """
    train, validation = (store.split(scheme, name) for name in SPLITS[:2])
    if not 0 < utterances <= len(train):
        raise InputError(
            f"--utterances is {utterances}: give 1 to {len(train)}, all that {store.path} trains on"
        )
    path = into / f"{store.corpus}-{scheme}-{utterances}"
    if (path / "manifest.json").is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [train[:utterances], validation[:VALIDATION]]
    maps = store.delta_maps
    with StoreWriter(path, coefficients=store.coefficients, delta_maps=maps is not None) as writer:
        for place in chain(*parts):
            one = store[place]
            own = None if maps is None else maps[place]
            writer.add(one.id, one.speaker, one.features, one.labels, own)
        split = np.repeat(range(2), [len(part) for part in parts])
        writer.finish(
            corpus=store.corpus, splits={scheme: split}, settings={"of": str(store.path)}, counts={}
        )
    return path
