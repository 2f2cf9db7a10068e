"""A round file: YAML that a person writes -> Round -> YAML with every default."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_parser import build
from phoneme_lightning.sweep.spaces import KINDS
from phoneme_lightning.sweep.yaml12 import dump_yaml, load_yaml

__all__ = ["dump_round", "parse_round", "read_round"]


def _plain(value: Any) -> Any:
    """Give a round, or a part of one, as lists, dicts and scalars."""
    if is_dataclass(value):
        plain = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        dists = [name for name, kind in KINDS.items() if isinstance(value, kind)]
        return {"dist": dists[0], **plain} if dists else plain
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Duration) else value


def dump_round(round: Round) -> str:
    """Write a round with every default as YAML; parsing that gives the same round."""
    return dump_yaml(_plain(round))


def read_round(path: str | Path) -> Round:
    """Read a round file.

    Raises:
        InputError: it is missing, or something in it is wrong; names the key, value and fix.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"no round file can be read at {path}: {error}") from error
    return parse_round(load_yaml(text, str(path)), path.stem)


def parse_round(data: Any, name: str) -> Round:
    """Make a round of what a round file holds.

    Args:
        data: the file's mapping.
        name: of the round where the file gives none.

    Raises:
        InputError: something in it is wrong; names the key, value and fix.
    """
    round: Round = build(Round, {"name": name, **data} if isinstance(data, dict) else data)
    return round
