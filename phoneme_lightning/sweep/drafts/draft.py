"""A round file in the making: every line that differs from its parent's says why."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_file import parse_round
from phoneme_lightning.sweep.yaml12 import dump_yaml

__all__ = ["Draft", "render", "write_draft"]

Keys = tuple[str, ...]

WIDEST = 52
"""Column beyond which a comment stands above its line."""

PLAIN = re.compile(r"[\w./+-]+")


@dataclass
class Draft:
    """A round file as data, and why it is as it is."""

    name: str
    """Of the new round."""

    parent: str
    """Name of the round that it was drafted from."""

    data: dict[str, Any]
    """What the file will say."""

    reasons: dict[Keys, str] = field(default_factory=dict)
    """Path of a key in the file -> why it has its value."""

    notes: list[str] = field(default_factory=list)
    """What was found and must be minded, but changes no line."""

    def set(self, path: Sequence[str], value: Any, reason: str) -> None:
        """Write a key, and why."""
        place: Any = self.data
        for key in path[:-1]:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        place[path[-1]] = value
        self.reasons[tuple(path)] = reason

    def caveat(self, text: str) -> None:
        """Add a reason for which the answer may not carry over."""
        caveats = self.data.setdefault("caveats", [])
        if text not in caveats:
            caveats.append(text)
            self.reasons[("caveats",)] = "what was held still, or learned under other conditions"

    def round(self) -> Round:
        """Give the round that it describes.

        Raises:
            InputError: something in it is wrong.
        """
        return parse_round(self.data, self.name)


def render(draft: Draft) -> str:
    """Write a draft as a round file with a comment on every line."""
    lines = list(_lines(draft.data, (), draft))
    column = max((len(text) for text, why in lines if why and len(text) <= WIDEST), default=0)
    head = [f"Drafted from {draft.parent} by `phoneme-sweep`: read it, change it, lint it, run it."]
    written = [f"# {line}" for line in head]
    if draft.notes:
        written += ["#", "# Also found there:", *(f"# - {_flat(note)}" for note in draft.notes)]
    for text, why in lines:
        why = why and _flat(why)
        if why and len(text) > WIDEST:
            written += [f"{' ' * (len(text) - len(text.lstrip()))}# {why}", text]
        else:
            written.append(f"{text:{column}}  # {why}" if why else text)
    return "\n".join(written) + "\n"


def _flat(text: str) -> str:
    """Give a text as a comment can hold it: in one line."""
    return " ".join(text.split())


def _lines(tree: Mapping[str, Any], path: Keys, draft: Draft) -> Iterator[tuple[str, str | None]]:
    indent = "  " * len(path)
    for key, value in tree.items():
        here = (*path, key)
        reason = draft.reasons.get(here)
        parts = isinstance(value, list) and all(one and isinstance(one, Mapping) for one in value)
        if value and (parts or isinstance(value, Mapping)):
            yield f"{indent}{dump_yaml({key: None}).strip().removesuffix(' null')}", reason
            yield from _items(value, here, draft) if parts else _lines(value, here, draft)
            continue
        first, *rest = _written(key, value)
        yield indent + first, reason or _inherited(here, draft)
        yield from ((indent + line, None) for line in rest)


def _written(key: str, value: Any) -> list[str]:
    """Write a leaf; a short list of plain values in one line."""
    text = dump_yaml({key: value})
    if isinstance(value, list) and value:
        items = [line.strip().removeprefix("- ") for line in text.splitlines()[1:]]
        row = f"{text.splitlines()[0]} [{', '.join(items)}]"
        if all(PLAIN.fullmatch(item) for item in items) and len(row) <= WIDEST:
            return [row]
    return text.splitlines()


def _items(values: Sequence[Any], path: Keys, draft: Draft) -> Iterator[tuple[str, str | None]]:
    dash = len("  " * len(path))
    for place, value in enumerate(values):
        lines = _lines(value, (*path, str(place)), draft)
        text, why = next(lines)
        yield f"{text[:dash]}- {text[dash + 2 :]}", why
        yield from lines


def _inherited(path: Keys, draft: Draft) -> str | None:
    """A line without a reason of its own has that of what it stands in, else the parent's."""
    above = any(path[:count] in draft.reasons for count in range(1, len(path)))
    return None if above else f"as in {draft.parent}"


def write_draft(draft: Draft, folder: Path = Path("sweeps")) -> Path:
    """Write a draft as sweeps/NAME.yaml.

    Raises:
        InputError: the file is there already.
    """
    path = folder / f"{draft.name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(render(draft))
    except FileExistsError:
        raise InputError(f"{path} is there already: give another --name, or delete it") from None
    return path
