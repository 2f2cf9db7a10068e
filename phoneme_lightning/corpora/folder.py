"""Recordings of one's own: any folder of sound files with an alignment file beside each.

A small YAML file may say which symbols stand for which phone:

    tier: phones           # of TextGrids; may be left out
    speaker: "^[^_]+"      # a regular expression, searched in the path; may be left out
    phones:                # phone: the symbols that stand for it; the classes, in this order
      SIL: ["", sil]       # "" is an empty interval
      a: [a, "a:"]
    ignore: [noise]        # their frames have no label

Without it each symbol is a phone, and an empty interval is SIL.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from phoneme_lightning.corpora.alignment import ENDINGS, label_frames, read_alignment
from phoneme_lightning.corpora.pieces import Recipe, Take
from phoneme_lightning.corpora.quarantine import Damage
from phoneme_lightning.corpora.sound import SOUNDS
from phoneme_lightning.errors import InputError

__all__ = ["folder_recipe"]

MOST_PHONES = 127
"""A store's labels are int8."""
_KEYS = {"tier", "speaker", "phones", "ignore"}
_BLANK = re.compile(r"\s")
_NAMED = 20  # unknown symbols in an error


def folder_recipe(
    source: Path,
    *,
    phones: Path | None = None,
    licence: str | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Recipe:
    """Say how a folder of recordings becomes a store.

    A speaker is who the map's regular expression finds; else the folder in which the recordings
    lie; for those in `source` itself, their names up to the first - or _.

    Args:
        source: the folder.
        phones: the YAML file.
        licence: of the recordings, if known: what the model card of a net says that learns of them.
        validation_fraction: the share of the utterances that validation and test get.
        seed: of their draw.

    Raises:
        InputError: there is nothing to prepare, the YAML cannot be used, or a symbol is not in it.
    """
    if not source.is_dir():
        raise InputError(f"source is {source}, but there is no such folder")
    rules = _read_rules(phones)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    known = (path for path in files if path.suffix.lower() in ENDINGS)
    alignments = {path.with_suffix(path.suffix.lower()): path for path in known}
    sounds = [path for path in files if path.suffix.lower() in SOUNDS]
    stems = {path.with_suffix("") for path in sounds}
    takes, bare = list[Take](), list[str]()
    for path in sounds:
        places = (path.with_suffix(ending) for ending in ENDINGS)
        own = next((alignments[place] for place in places if place in alignments), None)
        inside = path.relative_to(source).with_suffix("")
        if own is None:
            bare.append(_name(inside))
            continue
        takes.append(Take(_name(inside), _speaker(inside, rules.get("speaker")), "", path, own))
    if not takes:
        raise InputError(
            f"source is {source}, but no recording in it has a {', '.join(ENDINGS)} beside it"
        )
    counts = _count_symbols(takes, rules.get("tier"))
    inventory, classes = _inventory(counts, rules, phones)
    return Recipe(
        "folder",
        takes,
        partial(_label, tier=rules.get("tier"), classes=classes),
        inventory,
        settings={
            "labels": "alignment files",
            "map": rules,
            **({"licence": licence} if licence else {}),
            "validation_fraction": validation_fraction,
            "seed": seed,
        },
        lone={
            "recordings_without_labels": bare,
            "labels_without_recording": sorted(
                _name(stem.relative_to(source))
                for stem in {path.with_suffix("") for path in alignments} - stems
            ),
        },
    )


def _read_rules(path: Path | None) -> dict[str, Any]:
    """Read the YAML file; its parts have the right types."""
    if path is None:
        return {}
    try:
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--phones is {path}, which cannot be read: {error}") from error
    if not isinstance(rules, dict) or rules.keys() - _KEYS or not rules.get("phones"):
        raise InputError(
            f"--phones is {path}, which must hold phones: and may hold tier:, speaker:, ignore:"
        )
    for key, kind in {"tier": str, "speaker": str, "phones": dict, "ignore": list}.items():
        if not isinstance(rules.get(key, kind()), kind):
            raise InputError(f"{path}: {key} is {rules[key]!r}, but must be a {kind.__name__}")
    try:
        re.compile(rules.get("speaker", ""))
    except re.error as error:
        raise InputError(f"{path}: speaker is no regular expression: {error}") from error
    for phone, symbols in rules["phones"].items():
        words = symbols if isinstance(symbols, list) else [symbols]
        if not all(isinstance(word, str) for word in (phone, *words)):
            raise InputError(
                f"{path}: phones: {phone!r}: {symbols!r} must be words; "
                'put what YAML reads as something else, such as no or 1, in quotes ("no")'
            )
        if not phone or _BLANK.search(phone):
            raise InputError(
                f"{path}: phones: {phone!r} names a phone, but is empty or has a blank in it: "
                "give it a name of one word"
            )
        rules["phones"][phone] = words
    return rules


def _name(inside: Path) -> str:
    return re.sub(r"[\s/\\]", "-", str(inside))


def _speaker(inside: Path, pattern: str | None) -> str:
    if pattern is not None:
        found = re.search(pattern, str(inside))
        if not found or not found[0].strip():
            raise InputError(f"speaker: {pattern!r} finds nothing in {str(inside)!r}: mend it")
        return re.sub(r"\s", "-", found[0])
    folder = "-".join(inside.parts[:-1])
    return re.sub(r"\s", "-", folder or re.split("[-_]", inside.name)[0] or inside.name)


def _count_symbols(takes: Sequence[Take], tier: str | None) -> Counter[str]:
    """Count the symbols of all alignments; those that cannot be read are found again later."""
    counts: Counter[str] = Counter()
    for take in takes:
        try:
            counts.update(interval.symbol for interval in read_alignment(take.labels, tier=tier))
        except Damage:
            continue
    return counts


def _inventory(
    counts: Counter[str], rules: Mapping[str, Any], path: Path | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Give the names of the classes, and the class of each symbol."""
    mapped: dict[str, list[str]] = rules.get("phones") or _each_its_own(counts)
    phones = tuple(mapped)
    if len(phones) > MOST_PHONES:
        raise InputError(
            f"{path or 'the folder'} has {len(phones)} phones, at most {MOST_PHONES} are possible: "
            "give --phones, a map of symbols to fewer"
        )
    pairs = [(symbol, phones.index(phone)) for phone in phones for symbol in mapped[phone]]
    pairs += [(symbol, -1) for symbol in rules.get("ignore", [])]
    twice = [symbol for symbol, count in Counter(x for x, _ in pairs).items() if count > 1]
    if twice:
        raise InputError(f"{path}: {twice[0]!r} stands for more than one phone")
    classes = dict(pairs)
    unknown = [(symbol, n) for symbol, n in counts.most_common() if symbol not in classes]
    if unknown:
        said = ", ".join(f"{symbol!r} ({n} times)" for symbol, n in unknown[:_NAMED])
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise InputError(
            f"{path} says nothing of {said}{more}: put each under phones: or under ignore:"
        )
    return phones, classes


def _each_its_own(symbols: Iterable[str]) -> dict[str, list[str]]:
    """Take symbols for phones, and what is empty for SIL."""
    mapped: dict[str, list[str]] = {}
    for symbol in sorted(symbols):
        if _BLANK.search(symbol):
            raise InputError(
                f"{symbol!r} stands in the alignments, but a phone's name has no blank: give "
                "--phones, a map of symbols to phones"
            )
        mapped.setdefault(symbol or "SIL", []).append(symbol)
    return mapped


def _label(
    take: Take, seconds: float, frames: int, *, tier: str | None, classes: Mapping[str, int]
) -> tuple[np.ndarray, list[str]]:
    return label_frames(read_alignment(take.labels, tier=tier), seconds, frames, classes)
