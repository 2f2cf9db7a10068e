"""A classifier has a class for each phone that its corpus is labelled with."""

from collections.abc import Sequence
from typing import Any

import torch

from phoneme_lightning.corpora.choose import choose_store
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import NUM_PHONES
from phoneme_lightning.training.classifier import PhonemeClassifier

__all__ = ["check_phones", "take_phones", "tie_phones"]


def take_phones(settings: Any) -> None:
    """Set `model.num_classes` to the phones of the corpus, unless a person gave another number.

    Args:
        settings: the config, changed in place.
    """
    model, data = settings.model, settings.data
    if model.num_classes == NUM_PHONES:
        model.num_classes = len(FrameStore(choose_store(data.corpus, data.root)).phones)


def tie_phones(model: PhonemeClassifier, store: FrameStore, known: Sequence[str] | None) -> None:
    """See that the classes are the corpus's phones; score in those in which it is scored.

    Args:
        model: the classifier.
        store: the corpus.
        known: the phones of the checkpoint; None: there is none.

    Raises:
        InputError: the classes are others.
    """
    phones = store.phones
    if known is None and model.num_classes != len(phones):
        raise InputError(
            f"model.num_classes is {model.num_classes}, but {store.path} is labelled with "
            f"{len(phones)} phones: leave it out"
        )
    if known is not None:
        check_phones(known, store)
    if store.scored_as:
        model.score_as(torch.from_numpy(store.fold))


def check_phones(known: Sequence[str], store: FrameStore) -> None:
    """See that a checkpoint's classes are the phones of a corpus.

    Args:
        known: the phones of the checkpoint.
        store: the corpus.

    Raises:
        InputError: they are others.
    """
    phones = store.phones
    if tuple(known) != phones:
        raise InputError(
            f"ckpt_path tells apart {len(known)} phones ({known[0]} to {known[-1]}), but "
            f"{store.path} is labelled with {len(phones)} ({phones[0]} to {phones[-1]}): "
            "give a corpus of the same phones"
        )
