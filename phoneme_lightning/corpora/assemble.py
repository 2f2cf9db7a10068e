"""The pieces of a corpus of recordings become one store."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.audio import COEFFICIENTS
from phoneme_lightning.corpora.pieces import (
    Piece,
    Recipe,
    pieces_of,
    prepare_pieces,
    read_plan,
    remove_pieces,
)
from phoneme_lightning.corpora.quarantine import Damage, Quarantine
from phoneme_lightning.corpora.splits import complete_splits
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.errors import InputError

__all__ = ["assemble", "prepare_recordings"]


def prepare_recordings(
    recipe: Recipe,
    out: Path,
    *,
    shard: tuple[int, int] | None = None,
    workers: int | None = None,
    strict: bool = False,
    max_bad: float = 0.01,
) -> Path | None:
    """Prepare a corpus of recordings, or a shard of it.

    Args:
        recipe: the corpus.
        out: where the store shall stand.
        shard: which part to make, from 1, and of how many; None: all, and the store.
        workers: processes; by default one a processor.
        strict: refuse the corpus if anything is bad.
        max_bad: the share of utterances that may be bad, 0 to 1; two may be, unless it is 0.

    Returns:
        The store's folder; None where only a shard was made.

    Raises:
        InputError: more than `max_bad` is bad, or a setting is out of range.
    """
    prepare_pieces(recipe, out, shard=shard or (1, 1), workers=workers)
    return None if shard else assemble(out, strict=strict, max_bad=max_bad)


def assemble(out: Path, *, strict: bool = False, max_bad: float = 0.01) -> Path:
    """Write a store out of its pieces, and remove them.

    The same bytes whoever made the pieces, and how many at once.

    Args:
        out: where the store shall stand.
        strict: refuse the corpus if anything is bad.
        max_bad: the share of utterances that may be bad, 0 to 1; two may be, unless it is 0.

    Returns:
        The store's folder.

    Raises:
        InputError: pieces are missing, more than `max_bad` is bad, or there are too few utterances
            to split.
    """
    plan = read_plan(out)
    folder, names = pieces_of(out), plan["pieces"]
    missing = [place for place, name in enumerate(names) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(names)} pieces of {out} are not there, the first is "
            f"number {missing[0] + 1}: prepare what shards are missing (of n shards, number k "
            "makes the pieces k, k + n, ...)"
        )
    quarantine, remarks = Quarantine(), list[list[str]](plan["remarks"])
    speakers, parts, ids = list[str](), list[str](), set[str]()
    with StoreWriter(out, coefficients=COEFFICIENTS) as writer:
        for piece in (Piece.load(folder / name) for name in names):
            for name, part, reason, detail in piece.about["rejected"]:
                quarantine.add(name, part, Damage(reason, detail))
            for (name, speaker, part), features, labels in _utterances(piece):
                if name in ids:
                    quarantine.add(name, part, Damage("named twice"))
                    continue
                ids.add(name)
                speakers.append(speaker)
                parts.append(part)
                writer.add(name, speaker, features, labels)
            remarks += piece.about["remarks"]
        try:
            quarantine.judge(plan["takes"], max_bad=max_bad, strict=strict)
        except InputError as error:
            raise InputError(f"{error}; {folder} keeps what is prepared for then") from error
        quarantine.write(writer.partial / "quarantine.csv")
        if remarks:
            _write_remarks(writer.partial / "remarks.csv", remarks)
        settings = plan["settings"]
        try:
            splits = complete_splits(
                speakers, parts, fraction=settings["validation_fraction"], seed=settings["seed"]
            )
        except InputError:
            remove_pieces(out)  # more recordings are needed, and these few are soon made again
            raise
        store = writer.finish(
            corpus=plan["corpus"],
            splits=splits,
            settings=settings,
            counts={"quarantined": dict(quarantine.reasons), "remarks": len(remarks)},
            phones=plan["phones"],
            scored_as=plan["scored_as"],
        )
    remove_pieces(out)
    return store


def _utterances(piece: Piece) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    ends = piece.lengths.cumsum()[:-1]
    yield from zip(
        piece.about["takes"],
        np.split(piece.features, ends),
        np.split(piece.labels, ends),
        strict=False,  # a piece without a take is split into one empty part
    )


def _write_remarks(path: Path, remarks: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "remark"))
        table.writerows(remarks)
