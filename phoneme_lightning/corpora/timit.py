"""TIMIT (LDC93S1): hand-made phones in 61 symbols, trained in 48 and scored in 39 by custom.

    TRAIN/DR1/FCJF0/SX37.WAV  SX37.PHN       as the LDC hands it out (NIST sphere files)
    dr1-fcjf0/sx37.wav  sx37.phn             the free sample

Names may be in small letters or large. sa1 and sa2, which all speak, are left out by default.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.alignment import label_frames, read_alignment
from phoneme_lightning.corpora.pieces import Recipe, Take
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import TIMIT_39, TIMIT_48, TIMIT_61, TIMIT_TO_39, TIMIT_TO_48

__all__ = ["timit_recipe"]

_CORE_TEST = (
    "mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0 mbpm0 mklt0 fnlp0 "
    "mcmj0 mjdh0 fmgd0 mgrt0 mnjm0 fdhc0 mjln0 mpam0 fmld0"
)
CORE_TEST = frozenset(_CORE_TEST.split())
"""The 24 speakers of the core test set (TIMIT's own documentation, testset.doc)."""

_DEVELOPMENT = (
    "faks0 fdac1 fjem0 mgwt0 mjar0 mmdb1 mmdm2 mpdf0 fcmh0 fkms0 mbdg0 mbwm0 mcsh0 fadg0 fdms0 "
    "fedw0 mgjf0 mglb0 mrtk0 mtaa0 mtdt0 mthc0 mwjg0 fnmr0 frew0 fsem0 mbns0 mmjr0 mdls0 mdlf0 "
    "mdvc0 mers0 fmah0 fdrw0 mrcs0 mrjm4 fcal1 mmwh0 fjsj0 majc0 mjsw0 mreb0 fgjd0 fjmg0 mroa0 "
    "mteb0 mjfc0 mrjr0 fmml0 mrws1"
)
DEVELOPMENT = frozenset(_DEVELOPMENT.split())
"""The 50 speakers of the test part by whom settings are chosen (Halberstadt 1998, "Heterogeneous
acoustic measurements and multiple classifiers for speech recognition"; Kaldi's recipe)."""


def timit_recipe(
    source: Path,
    *,
    phones: int = 48,
    sa: bool = False,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Recipe:
    """Say how TIMIT becomes a store.

    Of the whole corpus test is the core test set, validation the development set, and the other
    speakers of the test part are left out. Of anything less, speakers are drawn.

    Args:
        source: the folder that holds TRAIN and TEST, or the speakers' folders.
        phones: classes to train: 61, 48 or 39. They are scored in 39. The frames of q, the glottal
            stop, have no label in 48 and 39; in 61 q is a class and scored as silence.
        sa: whether to take sa1 and sa2 too.
        validation_fraction: where speakers are drawn, the share that validation and test get.
        seed: of that draw.

    Raises:
        InputError: no .phn beside a recording is there.
    """
    if not source.is_dir():
        raise InputError(f"source is {source}, but there is no such folder: give TIMIT's")
    takes, lone = _takes(source, sa=sa)
    if not takes:
        raise InputError(
            f"source is {source}, but holds no .phn beside a .wav: give TIMIT's folder"
        )
    if any(take.part for take in takes):
        takes = [take for take in takes if take.part]
    inventory, fold = _INVENTORIES[phones]
    classes = {x: -1 if y is None else inventory.index(y) for x, y in fold.items()}
    return Recipe(
        "timit",
        takes,
        partial(_label, classes=classes),
        inventory,
        scored_as=_scored_as(phones),
        settings={
            "labels": f"TIMIT's .phn, folded to {phones} (Lee and Hon 1989)",
            "sa": sa,
            "validation_fraction": validation_fraction,
            "seed": seed,
        },
        lone=lone,
    )


_INVENTORIES: Mapping[int, tuple[tuple[str, ...], Mapping[str, str | None]]] = {
    61: (TIMIT_61, {symbol: symbol for symbol in TIMIT_61}),
    48: (TIMIT_48, TIMIT_TO_48),
    39: (TIMIT_39, {x: None if y is None else TIMIT_TO_39[y] for x, y in TIMIT_TO_48.items()}),
}


def _scored_as(phones: int) -> dict[str, str]:
    if phones == 39:
        return {}
    fold = _INVENTORIES[39][1]
    merged = {symbol: fold.get(symbol) or "sil" for symbol in TIMIT_61} | dict(TIMIT_TO_39)
    return {x: merged[x] for x in _INVENTORIES[phones][0] if merged[x] != x}


def _takes(source: Path, *, sa: bool) -> tuple[list[Take], dict[str, list[str]]]:
    """Find what there is to prepare, and what has no partner."""
    sounds, labels = dict[Path, Path](), dict[Path, Path]()
    for path in source.rglob("*"):
        kind = {".wav": sounds, ".phn": labels}.get(path.suffix.lower())
        if kind is not None and (sa or not path.name.lower().startswith("sa")):
            kind[path.with_suffix("")] = path
    has_test = any(_is_in(stem.relative_to(source), "test") for stem in sounds)
    takes = []
    for stem in sounds.keys() & labels.keys():
        speaker = _speaker(stem)
        part = _part(speaker, stem.relative_to(source)) if has_test else ""
        takes.append(Take(_name(stem), speaker, part, sounds[stem], labels[stem]))
    return sorted(takes), {
        "recordings_without_labels": sorted(map(_name, sounds.keys() - labels.keys())),
        "labels_without_recording": sorted(map(_name, labels.keys() - sounds.keys())),
    }


def _speaker(stem: Path) -> str:
    return stem.parent.name.lower().split("-")[-1]


def _name(stem: Path) -> str:
    return f"{_speaker(stem)}-{stem.name.lower()}"


def _is_in(path: Path, folder: str) -> bool:
    return folder in (name.lower() for name in path.parts)


def _part(speaker: str, path: Path) -> str:
    if not _is_in(path, "test"):
        return "train"
    own = {"test": CORE_TEST, "validation": DEVELOPMENT}
    return next((part for part, speakers in own.items() if speaker in speakers), "")


def _label(
    take: Take, seconds: float, frames: int, *, classes: Mapping[str, int]
) -> tuple[np.ndarray, list[str]]:
    return label_frames(read_alignment(take.labels), seconds, frames, classes)
