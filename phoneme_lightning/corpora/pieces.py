"""Recordings become a frame store piece by piece: in parallel, resumable, on many machines.

The takes of a corpus are cut into pieces of some takes each. A piece is prepared by one process and
written beside the store's place, in `.<name>.pieces/`, under a name that tells by its hash what it
was made from: what is there already is not made again, after an interruption as in an array job,
each of whose jobs makes a shard of the pieces. `assemble` writes the store out of all of them and
removes them. Memory holds one piece a process.
"""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from phoneme_lightning.corpora.audio import COEFFICIENTS, SAMPLE_RATE, extract
from phoneme_lightning.corpora.quarantine import Damage
from phoneme_lightning.corpora.sound import BadSound, read_audio, seconds_of
from phoneme_lightning.errors import InputError

__all__ = [
    "LONE",
    "LONGEST_SECONDS",
    "Piece",
    "Recipe",
    "Take",
    "parse_shard",
    "pieces_of",
    "prepare_pieces",
    "read_plan",
    "remove_pieces",
]

LONGEST_SECONDS = 600.0
"""A longer recording is no utterance: a batch could not hold it."""


LONE = {
    "recordings_without_labels": "left out: no labels belong to this recording",
    "labels_without_recording": "left out: these labels belong to no recording",
}
"""What may be of no use for want of a partner, and the remark that says so of each."""


class Take(NamedTuple):
    """One utterance of a corpus on disk.

    Attributes:
        id: the corpus's own name of it.
        speaker: who speaks.
        part: one of SPLITS where the corpus says it, else "".
        audio: the recording.
        labels: the file that says what is spoken when.
        at: the byte of that file at which this take's line begins, if it holds those of many.
    """

    id: str
    speaker: str
    part: str
    audio: Path
    labels: Path
    at: int = 0


@dataclass(frozen=True)
class Recipe:
    """How a corpus of recordings becomes a store.

    Attributes:
        corpus: its name.
        takes: in the order of the store, at least one.
        label: a take, its seconds and its frames -> its labels, (frames,), int8, and remarks; a
            function that another process can be given; raises Damage.
        phones: the names of the classes.
        scored_as: phone -> the phone as which it is scored, where the two differ.
        settings: what a person would need to make the same store again.
        lone: what was found without its partner, names under a key of LONE.
    """

    corpus: str
    takes: Sequence[Take]
    label: Callable[[Take, float, int], tuple[np.ndarray, list[str]]]
    phones: tuple[str, ...]
    scored_as: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    lone: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Piece(NamedTuple):
    """Some prepared takes.

    Attributes:
        features: (frames, 13), float32, end to end.
        labels: (frames,), int8.
        lengths: (takes,), int64.
        about: "takes", [id, speaker, part] of each; "rejected", [id, part, reason, detail] of those
            that cannot be used; "remarks", [id, what a person should know].
    """

    features: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray
    about: dict[str, list[list[str]]]

    @classmethod
    def load(cls, path: Path) -> "Piece":
        """Read a piece."""
        with np.load(path) as arrays:
            about = json.loads(str(arrays["about"]))
            return cls(arrays["features"], arrays["labels"], arrays["lengths"], about)

    def save(self, path: Path) -> None:
        """Write a piece; it appears whole."""
        partial_path = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")
        with partial_path.open("wb") as file:
            np.savez(file, **{**self._asdict(), "about": np.array(json.dumps(self.about))})
        partial_path.replace(path)


def parse_shard(text: str) -> tuple[int, int]:
    """Read which shard is meant, and of how many, from "3/16".

    Raises:
        InputError: it is not such a text, or there is no such shard.
    """
    words = text.split("/")
    if len(words) == 2 and all(word.isdecimal() for word in words):
        number, count = map(int, words)
        if 1 <= number <= count:
            return number, count
    raise InputError(f"--shard is {text!r}, but must be such as 3/16, from 1/16 to 16/16")


def pieces_of(out: Path) -> Path:
    """Give the folder in which the pieces of the store at `out` stand."""
    out = out.resolve()
    return out.with_name(f".{out.name}.pieces")


def read_plan(out: Path) -> dict[str, Any]:
    """Read what the pieces at hand are pieces of.

    Raises:
        InputError: there are none.
    """
    file = pieces_of(out) / "plan.json"
    if not file.is_file():
        raise InputError(f"there are no shards of {out}: make them with `phoneme-data prepare`")
    plan: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return plan


def prepare_pieces(
    recipe: Recipe, out: Path, *, shard: tuple[int, int] = (1, 1), workers: int | None = None
) -> None:
    """Make the pieces of a store, or a shard of them; leave out what is there already.

    Args:
        recipe: the corpus.
        out: where the store shall stand.
        shard: which part of the pieces to make, from 1, and of how many.
        workers: processes; by default one a processor.

    Raises:
        InputError: `workers` is out of range.
    """
    from rich.console import Console
    from rich.progress import track

    if workers is not None and workers < 1:
        raise InputError(f"--workers is {workers}, but must be at least 1")
    folder = pieces_of(out)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = dict(_cut(recipe))
    _write_plan(recipe, folder, list(pieces))
    own = list(pieces)[shard[0] - 1 :: shard[1]]
    missing = [name for name in own if not (folder / name).is_file()]
    make = partial(_make, recipe.label, folder)
    console = Console(stderr=True)
    if workers == 1 or len(missing) < 2:
        for name in track(missing, recipe.corpus, console=console):
            make(name, pieces[name])
        return
    pool = ProcessPoolExecutor(
        min(workers or os.cpu_count() or 1, len(missing)),
        mp_context=get_context("forkserver"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is the first process's to answer
    )
    try:
        jobs = [pool.submit(make, name, pieces[name]) for name in missing]
        for job in track(as_completed(jobs), recipe.corpus, len(jobs), console=console):
            job.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _cut(recipe: Recipe) -> Iterator[tuple[str, Sequence[Take]]]:
    """Cut the takes into pieces; their names change with whatever they are made from."""
    size = min(max(len(recipe.takes) // 64, 8), 200)
    how = json.dumps([recipe.phones, recipe.settings], sort_keys=True).encode()
    for number, first in enumerate(range(0, len(recipe.takes), size)):
        takes = recipe.takes[first : first + size]
        seen = hashlib.sha256(how)
        for take in takes:
            marks = [_mark(path) for path in (take.audio, take.labels)]
            seen.update(repr((take.id, take.speaker, take.part, take.at, marks)).encode())
        yield f"{number:06}-{seen.hexdigest()[:12]}.npz", takes


def _mark(path: Path) -> tuple[int, int]:
    """Give what changes with a file; zeros for one that is not there, which is told later."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _write_plan(recipe: Recipe, folder: Path, names: list[str]) -> None:
    plan = {
        "corpus": recipe.corpus,
        "phones": recipe.phones,
        "scored_as": dict(recipe.scored_as),
        "settings": {**recipe.settings, **{key: len(names) for key, names in recipe.lone.items()}},
        "remarks": [(name, LONE[key]) for key, names in recipe.lone.items() for name in names],
        "takes": len(recipe.takes),
        "pieces": names,
    }
    partial_path = folder / f".plan.{os.uname().nodename}.{os.getpid()}"
    partial_path.write_text(json.dumps(plan), encoding="utf-8")
    partial_path.replace(folder / "plan.json")
    for stale in set(os.listdir(folder)) - {*names, "plan.json"}:
        if stale.endswith(".npz"):
            (folder / stale).unlink(missing_ok=True)


def _make(label: Callable[..., Any], folder: Path, name: str, takes: Sequence[Take]) -> None:
    """Prepare a piece and write it."""
    features, labels = [np.zeros((0, COEFFICIENTS), np.float32)], [np.zeros(0, np.int8)]
    about: dict[str, list[list[str]]] = {"takes": [], "rejected": [], "remarks": []}
    for take in takes:
        try:
            frames, classes, remarks = _prepare(take, label)
        except Damage as damage:
            about["rejected"].append([take.id, take.part, damage.reason, damage.detail])
            continue
        features.append(frames)
        labels.append(classes)
        about["takes"].append([take.id, take.speaker, take.part])
        about["remarks"] += [[take.id, remark] for remark in remarks]
    lengths = np.array([len(x) for x in labels[1:]], dtype=np.int64)
    Piece(np.concatenate(features), np.concatenate(labels), lengths, about).save(folder / name)


def _prepare(take: Take, label: Callable[..., Any]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Give a take's features, (frames, 13), labels, (frames,), and remarks."""
    remarks = list[str]()
    try:
        if (seconds := seconds_of(take.audio)) > LONGEST_SECONDS:
            raise Damage("too long", f"{seconds:.0f} s, at most {LONGEST_SECONDS:.0f}: cut it")
        samples = read_audio(take.audio, remark=remarks.append)
    except BadSound as bad:
        raise Damage(bad.reason, bad.detail) from bad
    features = extract(samples)
    if not len(features):
        raise Damage("too short", f"{len(samples)} samples, a frame needs 400")
    labels, more = label(take, len(samples) / SAMPLE_RATE, len(features))
    if (labels < 0).all():
        raise Damage("no labelled frame")
    return features, labels, [*remarks, *more]


def remove_pieces(out: Path) -> None:
    """Remove the pieces of a store that stands."""
    shutil.rmtree(pieces_of(out))
