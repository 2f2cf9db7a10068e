"""design.csv: a line a trial, written before the trial runs."""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock

from phoneme_lightning.sweep.folder import write_atomically

__all__ = ["Row", "append_design", "lock_design", "read_design", "write_design"]

IDENTITY = ["trial", "arm", "point", "seed"]


@dataclass(frozen=True)
class Row:
    """A trial as designed: its identity is (arm, point, seed)."""

    trial: str
    """Its name, which is also its folder's."""

    arm: str
    """Name of its arm."""

    point: int
    """Number of its point."""

    seed: int
    """Its seed."""

    values: dict[str, Any]
    """Key -> value of the scientific and nuisance hyperparameters that are active in it."""


def lock_design(path: Path) -> BaseFileLock:
    """Give the lock under which lines are added; the same process may take it again inside."""
    return FileLock(path.with_name(f".{path.name}.lock"), is_singleton=True)


def _text(rows: Sequence[Row], keys: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        cells = [json.dumps(row.values[key]) if key in row.values else "" for key in keys]
        writer.writerow([row.trial, row.arm, row.point, row.seed, *cells])
    return text.getvalue()


def _keys(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row.values))


def write_design(path: Path, rows: Sequence[Row]) -> None:
    """Write the design: a column a hyperparameter, cells in JSON, empty where it is inactive."""
    keys = _keys(rows)
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow([*IDENTITY, *keys])
    write_atomically(path, header.getvalue() + _text(rows, keys))


def read_design(path: Path) -> list[Row]:
    """Read the design; a last line without its end, which a crash left, is not there.

    Raises:
        OSError: there is no such file.
    """
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    lines = csv.reader(io.StringIO(whole, newline=""))
    keys = next(lines, IDENTITY)[len(IDENTITY) :]
    return [
        Row(
            trial,
            arm,
            int(point),
            int(seed),
            {key: json.loads(cell) for key, cell in zip(keys, cells, strict=True) if cell},
        )
        for trial, arm, point, seed, *cells in lines
    ]


def append_design(path: Path, rows: Sequence[Row]) -> None:
    """Add lines, under a lock and whole: on the disk when this returns.

    A hyperparameter that has no column yet gets one.
    """
    with lock_design(path):
        there = read_design(path) if path.exists() else []
        keys = _keys(there)
        if not there or set(_keys(rows)) - set(keys):
            write_design(path, [*there, *rows])
            return
        with path.open("r+b") as file:
            text = file.read()
            header = text[: text.find(b"\n")].decode()
            columns = next(csv.reader([header]))[len(IDENTITY) :]
            file.truncate(text.rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            file.write(_text(rows, columns).encode())
            file.flush()
            os.fsync(file.fileno())
