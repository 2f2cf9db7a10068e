"""`phoneme-sweep init`: a round file that runs as it stands, with what each key means above it."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_file import dump_round, parse_round
from phoneme_lightning.sweep.spaces import KINDS
from phoneme_lightning.sweep.yaml12 import dump_yaml, load_yaml

__all__ = ["field_docs", "template", "write_template"]

WIDTH = 90  # of a comment, before it is indented

EXAMPLE: dict[str, Any] = {
    "goal": {"question": "Should the learning rate decay?", "kind": "try a change"},
    "overrides": {"model.warmup_steps": 50},
    "budget": {"points": 20},
    "training": {"steps": 1000, "evaluate_every": 100},
    "scientific": {"model.schedule": {"values": ["constant", "cosine"]}},
    "nuisance": {"model.optimizer.init_args.lr": {"dist": "log", "low": 3e-4, "high": 3e-2}},
    "quick": {"overrides": {"model.warmup_steps": 3}},
}


def write_template(name: str, base: str, folder: Path = Path("sweeps")) -> Path:
    """Write a commented round file to begin from.

    Args:
        name: of the round.
        base: config that its trials begin from.
        folder: where round files are.

    Returns:
        The file.

    Raises:
        InputError: the file is there already, the config is not, or the name is no file's name.
    """
    if Path(name).name != name or name.startswith("."):
        raise InputError(f"NAME is {name!r}: give a plain name, such as lr_round1")
    path = folder / f"{name.removesuffix('.yaml')}.yaml"
    if not Path(base).is_file():
        raise InputError(f"--base is {base}: there is no such file, give one of configs/")
    text = template(path.stem, base)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(
            f"{path} is there already: give another NAME, or delete it first"
        ) from None
    return path


def template(name: str, base: str) -> str:
    """Give the text of a round file: an example, and all else at its default."""
    round = load_yaml(dump_round(parse_round({**EXAMPLE, "base": [base]}, name)), name)
    del round["evidence"]  # written by --quick, not by hand
    head = f"# {name}: an example to be changed. What stays at its default may be left out."
    parts = ["\n".join(_lines(Round, {key: value})) for key, value in round.items()]
    return "\n\n".join([head, *parts]) + "\n"


def field_docs(kind: type) -> dict[str, str]:
    """Give what the docstrings under a dataclass's fields say, by field."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, doc in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(ast.literal_eval(doc.value).split())
    return found


def _lines(kind: type, values: Mapping[str, Any]) -> Iterator[str]:
    docs, types = field_docs(kind), get_type_hints(kind)
    for key, value in values.items():
        yield from (f"# {line}" for line in textwrap.wrap(docs.get(key, ""), WIDTH))
        yield from _entry(key, types.get(key), value)


def _entry(key: str, kind: Any, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and "dist" in value:
        kind = KINDS[value["dist"]]
    inner: Iterator[str]
    if is_dataclass(kind):
        inner = _lines(kind, value)  # type: ignore[arg-type]
    elif get_origin(kind) is dict and value:
        each = get_args(kind)[1]
        inner = (line for name, one in value.items() for line in _entry(name, each, one))
    else:
        yield from dump_yaml({key: value}).splitlines()
        return
    yield f"{key}:"
    yield from (f"  {line}" for line in inner)
