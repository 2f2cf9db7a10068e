"""What a round file holds -> the dataclasses, by jsonargparse, with complaints of one line."""

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.spaces import KINDS, Space

__all__ = ["build", "suggest"]

WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    NoneType: "null",
    Duration: "a time with its unit, such as 90s, 30m or 2h",
}


def suggest(word: object, known: Iterable[object]) -> str:
    """Say which known word was meant, or which there are."""
    words = [str(one) for one in known]
    close = get_close_matches(str(word), words, n=1)
    return f"did you mean {close[0]}?" if close else f"there is {', '.join(words) or 'none'}"


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _describe(kind: Any) -> str:
    """Say what a type takes."""
    if len(_alternatives(kind)) > 1:
        return " or ".join(map(_describe, _alternatives(kind)))
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) is list:
        return f"a list, each of it {_describe(get_args(kind)[0])}"
    return WORDS.get(kind, "a mapping")


def _whole(kind: Any, value: Any) -> Any:
    """Make a whole float an int where an int is expected: 1e3 is 1000."""
    kinds = _alternatives(kind)
    lists = [one for one in kinds if get_origin(one) is list]
    if lists and isinstance(value, list):
        return [_whole(get_args(lists[0])[0], one) for one in value]
    if int in kinds and float not in kinds and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@cache
def _parser(kind: type, names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Give jsonargparse's parser of some fields of a dataclass."""
    from jsonargparse import ArgumentParser
    from jsonargparse.typing import register_type

    register_type(Duration, serializer=str, deserializer=Duration, fail_already_registered=False)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, skip={one.name for one in fields(kind)} - set(names))
    return lambda given: parser.parse_object(dict(given)).as_dict()


def _parse(kind: type, given: Mapping[str, Any], types: Mapping[str, Any], key: str) -> Any:
    try:
        return _parser(kind, tuple(types))(given)
    except OverflowError as error:
        raise InputError(
            f"{key.rstrip('.')} has a number of hundreds of digits: {error}"
        ) from error
    except argparse.ArgumentError as error:
        found = re.search(r'Parser key "(\w+)', str(error))
        if not found:
            raise InputError(f"{key.rstrip('.')}: {error}") from error
        name = found[1]
        raise InputError(
            f"{key}{name} is {given[name]!r}: give {_describe(types[name])}"
        ) from error


def build(kind: Any, value: Any, key: str = "") -> Any:
    """Build a dataclass, or a container of them, of what was read.

    jsonargparse parses scalars and lists of them. Values of any type stay as they were read: it
    would take the string "1e-4" for a number.

    Args:
        kind: the type.
        value: what was read.
        key: where it stands; empty for the whole file.

    Raises:
        InputError: it names the key, the value and the fix.
    """
    if NoneType in _alternatives(kind) and value is None:
        return None
    if set(get_args(Space)) <= set(_alternatives(kind)):
        return _build_space(value, key)
    kind = next((one for one in _alternatives(kind) if one is not NoneType), kind)
    if get_origin(kind) is dict:
        value = _mapping(value, key)
        return {name: build(get_args(kind)[1], one, f"{key}.{name}") for name, one in value.items()}
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise InputError(f"{key} is {value!r}: give a list")
        return [build(get_args(kind)[0], one, f"{key}[{at}]") for at, one in enumerate(value)]
    if not is_dataclass(kind):
        return value
    return _build_dataclass(kind, _mapping(value, key, get_type_hints(kind)), key)


def _mapping(value: Any, key: str, names: Iterable[str] = ()) -> Mapping[str, Any]:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return value
    told = f", such as {', '.join(names)}" if names else ""
    raise InputError(
        f"{key or 'the round file'} is {'empty' if value is None else repr(value)}: "
        f"give a mapping of keys{told}"
    )


def _is_plain(kind: Any) -> bool:
    """Tell whether jsonargparse parses a type: scalars, and lists of them."""
    return all(
        _is_plain(get_args(one)[0])
        if get_origin(one) is list
        else one in WORDS or get_origin(one) is Literal
        for one in _alternatives(kind)
    )


def _build_dataclass(kind: Any, value: Mapping[str, Any], key: str) -> Any:
    prefix = f"{key}." if key else ""
    types = get_type_hints(kind)
    for name in value:
        if name not in types:
            raise InputError(f"{prefix}{name} is no key here: {suggest(name, types)}")
    for field in fields(kind):
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and value.get(field.name) is None:
            raise InputError(
                f"{prefix}{field.name} is missing: give {_describe(types[field.name])}"
            )
    plain = {name: one for name, one in types.items() if _is_plain(one)}
    given = {name: _whole(types[name], one) for name, one in value.items() if name in plain}
    for name, one in given.items():
        if one is None and NoneType not in _alternatives(types[name]):
            raise InputError(f"{prefix}{name} is null: give {_describe(types[name])}")
    rest = {
        name: build(types[name], one, f"{prefix}{name}")
        for name, one in value.items()
        if name not in plain
    }
    try:
        return kind(**_parse(kind, given, plain, prefix), **rest)
    except ValueError as error:  # a space's own complaint begins with the field
        raise InputError(f"{prefix}{error}") from error


def _build_space(value: Any, key: str) -> Any:
    """Build a space, its class chosen by `dist` first so that complaints are about one class."""
    value = dict(_mapping(value, key))
    if "dist" not in value:
        raise InputError(f"{key}.dist is missing: give {', '.join(KINDS)}")
    dist = value.pop("dist")
    if dist not in list(KINDS):
        raise InputError(f"{key}.dist is {dist!r}: give {', '.join(KINDS)}")
    return _build_dataclass(KINDS[dist], value, key)
