"""LibriSpeech (CC BY 4.0): flac files, and labels from a forced alignment in one of two forms.

    <any folders>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac

* a text file, "id l0 l1 ... l(T-1)" a line: one of the 41 classes a frame, as Facebook's CPC_audio
  hands it out (libriphone's numbering);
* a folder of TextGrids, <id>.TextGrid anywhere in it, as the Montreal Forced Aligner writes them:
  ARPAbet with stress, empty where it is silent.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.alignment import label_frames, read_alignment
from phoneme_lightning.corpora.pieces import Recipe, Take
from phoneme_lightning.corpora.quarantine import Damage
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import NUM_PHONES, PHONES, SILENCE

__all__ = ["librispeech_recipe"]

_PARTS = {"train": "train", "dev": "validation", "test": "test"}
_CLASSES = {
    **{name: place for place, name in enumerate(PHONES)},
    **{f"{name}{stress}": place for place, name in enumerate(PHONES) for stress in "012"},
    **dict.fromkeys(("", "sil", "sp"), SILENCE),
    **{"spn": PHONES.index("SPN")},
}


def librispeech_recipe(
    source: Path,
    *,
    labels: Path | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Recipe:
    """Say how LibriSpeech becomes a store.

    Recordings under train-*, dev-* and test-* belong to train, validation and test; where there are
    no such folders, speakers are drawn. Recordings without a label are no part of it.

    Args:
        source: a folder with the recordings.
        labels: the text file, or the folder of TextGrids; by default `source`, or the phone_labels
            or converted_aligned_phones.txt in it.
        validation_fraction: where they are drawn, the share that validation and test get.
        seed: of that draw.

    Raises:
        InputError: there are no recordings, no labels, or none that belong to one another.
    """
    files = sorted(source.rglob("*"))
    sounds = {path.stem: path for path in files if path.suffix.lower() == ".flac"}
    if not sounds:
        raise InputError(f"source is {source}, but holds no .flac: give LibriSpeech's folder")
    texts = (source / "phone_labels.txt", source / "converted_aligned_phones.txt")
    given = labels or next((text for text in texts if text.is_file()), source)
    if not given.exists():
        raise InputError(f"--labels is {given}, but nothing is there")
    found = dict(_lines_of(given) if given.is_file() else _grids_of(given))
    takes = [
        Take(name, name.split("-")[0], _part(path.relative_to(source)), path, *found[name])
        for name, path in sounds.items()
        if name in found
    ]
    if not takes:
        raise InputError(
            f"of the {len(sounds)} recordings of {source} none has a label in {given}: "
            "give --labels, the file of label lines or the folder of TextGrids"
        )
    return Recipe(
        "librispeech",
        sorted(takes),
        _label_of_line if given.is_file() else _label_of_grid,
        PHONES,
        settings={
            "labels": "a line a recording" if given.is_file() else "TextGrids",
            "validation_fraction": validation_fraction,
            "seed": seed,
        },
        lone={
            "recordings_without_labels": sorted(sounds.keys() - found.keys()),
            "labels_without_recording": sorted(found.keys() - sounds.keys()),
        },
    )


def _part(path: Path) -> str:
    """Give the part that a folder between the corpus's and the recording tells."""
    names = (name.lower().split("-")[0] for name in path.parts if "-" in name and name != path.name)
    return next((_PARTS[name] for name in names if name in _PARTS), "")


def _lines_of(path: Path) -> Iterator[tuple[str, tuple[Path, int]]]:
    """Give where each recording's line begins."""
    at = 0
    with path.open("rb") as file:
        for line in file:
            if words := line.split(maxsplit=1):
                yield words[0].decode(errors="replace"), (path, at)
            at += len(line)


def _grids_of(folder: Path) -> Iterator[tuple[str, tuple[Path, int]]]:
    for path in folder.rglob("*"):
        if path.suffix.lower() == ".textgrid":
            yield path.stem, (path, 0)


def _label_of_line(take: Take, seconds: float, frames: int) -> tuple[np.ndarray, list[str]]:
    with take.labels.open("rb") as file:
        file.seek(take.at)
        numbers = file.readline().split()[1:]
    try:
        classes = np.array([int(number) for number in numbers])
    except ValueError as error:
        raise Damage("malformed label line", str(error)) from error
    if len(classes) != frames:
        raise Damage("label count", f"{len(classes)} labels, {frames} frames")
    wrong = classes[(classes < 0) | (classes >= NUM_PHONES)]
    if len(wrong):
        raise Damage("label range", f"{wrong[0]} is not of 0 to {NUM_PHONES - 1}")
    return classes.astype(np.int8), []


def _label_of_grid(take: Take, seconds: float, frames: int) -> tuple[np.ndarray, list[str]]:
    return label_frames(read_alignment(take.labels), seconds, frames, _CLASSES)
