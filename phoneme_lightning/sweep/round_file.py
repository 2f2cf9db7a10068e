"""A round file: YAML that a person writes -> Round -> YAML with every default."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.arms import shortest_fit
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.keys import LENGTH, flatten, nested
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_check import check_round
from phoneme_lightning.sweep.round_parser import build
from phoneme_lightning.sweep.spaces import KINDS, Int
from phoneme_lightning.sweep.yaml12 import dump_yaml, load_yaml

__all__ = ["dump_round", "make_quick", "parse_round", "read_round"]


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
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"no round file can be read at {path} ({why}): give a file, such as "
            "sweeps/lr_round1.yaml, or, to go on with a round, its folder under runs/rounds"
        ) from error
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
    check_round(round)
    return round


def make_quick(round: Round) -> Round:
    """Cut a round to a demonstration of a few minutes, whose figures are no evidence.

    Fewer points, shorter fits (arms that differ in their length keep its proportions), the first
    seed, and the overrides that make the net small.

    Raises:
        InputError: so short, it can no longer be designed, say because two lengths become one.
    """
    quick, steps = round.quick, round.quick.steps
    share = steps / round.training.steps
    late = round.divergence.chance_after
    cut = replace(
        round,
        name=f"{round.name}-quick",
        evidence=False,
        budget=replace(round.budget, points=min(quick.points, round.budget.points)),
        training=replace(round.training, steps=steps),
        seeds=round.seeds[:1],
        overrides=nested({**flatten(round.overrides), **flatten(quick.overrides)}),
        scientific={
            key: replace(
                one, values=_cut(key, one.values, share), range=_cut(key, one.range, share)
            )
            for key, one in round.scientific.items()
        },
        conditional=[
            replace(part, when=_cut("when", part.when, share)) for part in round.conditional
        ],
        divergence=replace(round.divergence, chance_after=late if late and late <= steps else None),
    )
    every = min(quick.evaluate_every, shortest_fit(cut))
    cut = replace(cut, training=replace(cut.training, evaluate_every=every))
    check_round(cut)
    return cut


def _cut(key: str, value: Any, share: float) -> Any:
    """Cut what is a training length: a value of that key, or of what stands under it."""
    if isinstance(value, Mapping):
        return {
            name: _cut(key if key == LENGTH else name, one, share) for name, one in value.items()
        }
    if key == LENGTH and isinstance(value, list):
        return [_cut(key, one, share) for one in value]
    if key == LENGTH and isinstance(value, Int):
        return Int(_cut(key, value.low, share), _cut(key, value.high, share) + 1)
    return max(1, round(value * share)) if key == LENGTH and isinstance(value, int) else value
