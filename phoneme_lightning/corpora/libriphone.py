"""libriphone as the course hands it out: .pt files and three text files -> a frame store.

    libriphone/
      train_split.txt  test_split.txt      one utterance id a line
      train_labels.txt                     "id l0 l1 ... l(T-1)", one class a frame
      feat/train/<id>.pt  feat/test/<id>.pt

Every year's edition has this layout; only the counts differ.
"""

from pathlib import Path

import numpy as np

from phoneme_lightning.corpora.quarantine import Damage, Quarantine
from phoneme_lightning.corpora.splits import draw_splits
from phoneme_lightning.corpora.tensor_file import CEPSTRA, fit_delta_map, read_tensor
from phoneme_lightning.corpora.writer import StoreWriter, sha256
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import NUM_PHONES

__all__ = ["prepare_libriphone"]

_TEXTS = ("train_split.txt", "test_split.txt", "train_labels.txt")


def prepare_libriphone(
    source: Path,
    out: Path,
    *,
    strict: bool = False,
    max_bad: float = 0.01,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Path:
    """Pack libriphone into a frame store of the 13 cepstra and each utterance's delta map.

    What is bad is left out and listed in the store's quarantine.csv. The store's order is that of
    train_split.txt, then that of test_split.txt.

    Args:
        source: the course's folder `libriphone`, or the folder that holds it.
        out: where the store shall stand; an older store there is replaced at the very end.
        strict: refuse the corpus if anything is bad.
        max_bad: the share of utterances that may be bad, 0 to 1; two may be, unless it is 0.
        validation_fraction: the share of the training utterances that validation gets.
        seed: of the draw of the validation split.

    Returns:
        The store's folder.

    Raises:
        InputError: the folder has another layout, or more than `max_bad` is bad.
    """
    from rich.console import Console
    from rich.progress import track

    root = _find_root(Path(source))
    quarantine = Quarantine()
    utterances, named = _read_splits(root, quarantine)
    labels = _read_labels(root / "train_labels.txt", utterances, quarantine)
    console = Console(stderr=True)
    speakers: list[str] = []
    is_test: list[bool] = []
    with StoreWriter(out, coefficients=CEPSTRA, delta_maps=True) as writer:
        for name, split in track(utterances.items(), "libriphone", console=console):
            try:
                features, classes, delta_map = _read_utterance(root, name, split, labels)
            except Damage as damage:
                quarantine.add(name, split, damage)
                continue
            speakers.append(name.split("-")[0])
            is_test.append(split == "test")
            writer.add(name, speakers[-1], features, classes, delta_map)
        quarantine.judge(named, max_bad=max_bad, strict=strict)
        if all(is_test):
            raise InputError(f"no training utterance of {root} is whole: mend the source")
        quarantine.write(writer.partial / "quarantine.csv")
        return writer.finish(
            corpus="libriphone",
            splits=draw_splits(
                speakers, np.array(is_test), fraction=validation_fraction, seed=seed
            ),
            settings={
                "labels": "train_labels.txt",
                "source_sha256": {text: sha256(root / text) for text in _TEXTS},
                "validation_fraction": validation_fraction,
                "seed": seed,
            },
            counts={"quarantined": dict(quarantine.reasons)},
        )


def _find_root(source: Path) -> Path:
    for root in (source, source / "libriphone"):
        if any((root / text).exists() for text in _TEXTS):
            break
    else:
        raise InputError(
            f"source is {source}, but neither it nor {source / 'libriphone'} holds "
            f"{', '.join(_TEXTS)}: give the course's folder"
        )
    for text in _TEXTS:
        if not (root / text).is_file():
            raise InputError(f"{root / text} is missing: unpack the course's archive again")
    for folder in (root / "feat" / "train", root / "feat" / "test"):
        if not folder.is_dir():
            raise InputError(f"{folder} is missing: unpack the course's archive again")
    return root


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text ({error}): unpack the archive again") from error
    if not text.strip():
        raise InputError(f"{path} is empty: unpack the course's archive again")
    return text


def _read_splits(root: Path, quarantine: Quarantine) -> tuple[dict[str, str], int]:
    """Give each utterance's split in the store's order, and how many the files name."""
    listed = {split: _read_text(root / f"{split}_split.txt").split() for split in ("train", "test")}
    test = set(listed["test"])
    utterances: dict[str, str] = {}
    for split, names in listed.items():
        for name in names:
            if split == "train" and name in test:
                quarantine.add(name, split, Damage("also in the test split"))
            elif name in utterances:
                quarantine.add(name, split, Damage("named twice", f"in {split}_split.txt"))
            else:
                utterances[name] = split
    return utterances, sum(map(len, listed.values()))


def _read_labels(
    path: Path, utterances: dict[str, str], quarantine: Quarantine
) -> dict[str, np.ndarray | Damage]:
    """Give the classes, (frames,), int64, of each line's utterance, or what is wrong with them."""
    labels: dict[str, np.ndarray | Damage] = {}
    rejected = {row.id for row in quarantine.rows}
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        name, *numbers = line.split()
        if utterances.get(name) != "train":
            if name not in rejected:
                quarantine.add(name, "train", Damage("labels of no utterance", f"line {number}"))
        elif name in labels:
            labels[name] = Damage("labelled twice", f"line {number}")
        else:
            labels[name] = _parse_classes(numbers, number)
    return labels


def _parse_classes(numbers: list[str], line: int) -> np.ndarray | Damage:
    try:
        classes = np.array([int(number) for number in numbers], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        return Damage("malformed label line", f"line {line}: {error}")
    wrong = classes[(classes < 0) | (classes >= NUM_PHONES)]
    if len(wrong):
        return Damage("label range", f"line {line}: {wrong[0]} is not of 0 to {NUM_PHONES - 1}")
    return classes


def _read_utterance(
    root: Path, name: str, split: str, labels: dict[str, np.ndarray | Damage]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Give a sound utterance's cepstra, (frames, 13), classes, (frames,), and map, (13, 26)."""
    classes = labels.get(name, Damage("no label line")) if split == "train" else None
    if isinstance(classes, Damage):
        raise classes
    features = read_tensor(root / "feat" / split / f"{name}.pt")
    if classes is not None and len(classes) != len(features):
        raise Damage("label count", f"{len(classes)} labels, {len(features)} frames")
    return features[:, :CEPSTRA], classes, fit_delta_map(features)
