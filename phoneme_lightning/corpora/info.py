"""What is in a store: counts, splits, speakers, and how often each phone occurs."""

import hashlib
from itertools import pairwise
from typing import Any

import numpy as np

from phoneme_lightning.corpora.store import FRAME_SHIFT_MS, SPLITS, FrameStore

__all__ = ["describe_splits", "describe_store", "print_description"]


def describe_store(store: FrameStore) -> dict[str, Any]:
    """Count what a store holds.

    Returns:
        A tree of plain values, fit for JSON: the corpus, its counts and settings, the splits of
        each scheme with their speakers, and the phones, the most frequent first.
    """
    labels = np.asarray(store.labels)
    counts = np.bincount(labels[labels >= 0], minlength=len(store.phones))
    labelled = int(counts.sum())
    return {
        "store": str(store.path),
        "corpus": store.corpus,
        "utterances": len(store),
        "speakers": len(set(store.speakers)),
        "frames": len(store.features),
        "hours": _hours(len(store.features)),
        "coefficients": store.coefficients,
        "delta_maps": store.delta_maps is not None,
        "labels": store.manifest["settings"].get("labels", "the corpus's own"),
        "labelled_frames": labelled,
        "quarantined": store.manifest["counts"].get("quarantined", {}),
        "splits": {scheme: describe_splits(store, scheme) for scheme in store.schemes},
        "phones": [
            {
                "phone": store.phones[index],
                "scored_as": store.scored_phones[store.fold[index]],
                "class": int(index),
                "frames": int(counts[index]),
                "share": counts[index] / max(1, labelled),
            }
            for index in np.argsort(-counts, kind="stable")
        ],
        "settings": store.manifest["settings"],
    }


def _hours(frames: int) -> float:
    return frames * FRAME_SHIFT_MS / 3_600_000


def describe_splits(store: FrameStore, scheme: str) -> dict[str, dict[str, Any]]:
    """Count what each split holds, and what it has in common with train.

    Args:
        store: the corpus.
        scheme: in which it is split, one of the store's.

    Returns:
        A tree of plain values by split. An utterance is in train as well where one there has the
        same id or the same features, to the last bit.
    """
    ids, speakers, offsets = store.ids, np.array(store.speakers), store.offsets
    marks = [
        {ids[place], hashlib.blake2b(store.features[start:stop].tobytes()).digest()}
        for place, (start, stop) in enumerate(pairwise(offsets.tolist()))
    ]
    in_train = store.split(scheme, "train")
    known = set[str | bytes]().union(*(marks[position] for position in in_train))
    rows = {}
    for name in SPLITS:
        positions = store.split(scheme, name)
        own = set(speakers[positions])
        frames = int(store.lengths[positions].sum())
        rows[name] = {
            "utterances": len(positions),
            "utterances_in_train": sum(not known.isdisjoint(marks[p]) for p in positions),
            "frames": frames,
            "hours": _hours(frames),
            "speakers": len(own),
            "speakers_in_train": len(own & set(speakers[in_train])),
            "labelled": store.has_labels(positions),
        }
    return rows


def print_description(description: dict[str, Any]) -> None:
    """Print what `describe_store` gives as tables."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    quarantined = description["quarantined"]
    for name, value in (
        ("store", description["store"]),
        ("corpus", description["corpus"]),
        ("utterances", f"{description['utterances']:,} of {description['speakers']} speakers"),
        ("frames", f"{description['frames']:,}, {description['hours']:.2f} hours"),
        ("coefficients", description["coefficients"]),
        ("labels", f"{description['labels']}, {description['labelled_frames']:,} frames"),
        ("quarantined", ", ".join(f"{n} x {why}" for why, n in quarantined.items()) or "none"),
    ):
        console.print(f"{name:14}{value}", markup=False, soft_wrap=True)
    for scheme, rows in description["splits"].items():
        table = Table(f"by {scheme}", box=SIMPLE_HEAD)
        for column in ("utterances", "frames", "hours", "speakers", "also in train", "labels"):
            table.add_column(column, justify="right")
        for name, row in rows.items():
            table.add_row(
                name,
                f"{row['utterances']:,}",
                f"{row['frames']:,}",
                f"{row['hours']:.2f}",
                str(row["speakers"]),
                "" if name == "train" else str(row["speakers_in_train"]),
                "yes" if row["labelled"] else "no",
            )
        console.print(table)
    table = Table("phone", box=SIMPLE_HEAD)
    for column in ("class", "frames", "share"):
        table.add_column(column, justify="right")
    table.add_column("of the labelled frames")
    most = max(row["share"] for row in description["phones"]) or 1.0
    for row in description["phones"]:
        table.add_row(
            row["phone"],
            str(row["class"]),
            f"{row['frames']:,}",
            f"{row['share']:.2%}",
            "█" * round(24 * row["share"] / most),
        )
    console.print(table)
