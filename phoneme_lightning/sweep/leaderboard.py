"""Leaderboards: of a round's trials, of its arms, of all rounds. Rows first, then tables."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import ROOT, RoundFolder
from phoneme_lightning.sweep.looks import read_looks
from phoneme_lightning.sweep.records import TrialRecord, read_records
from phoneme_lightning.sweep.round import Objective, Round
from phoneme_lightning.sweep.round_file import read_round

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "arm_rows",
    "as_table",
    "mixed",
    "ranked",
    "round_rows",
    "short_names",
    "title",
    "trial_rows",
]

ENVIRONMENT = ("versions", "git", "corpus", "host", "device", "precision")
"""What must be the same for all trials of a round, or be said."""

SPARE = ("time", "of", "source", "best step", "arm", "state", "question", "trials", "last", "final")
"""Columns that a narrow terminal does without, the first of them first."""

ROUND_COLUMNS = ("round", "question", "done", "trials", "best trial", "value", "of", "public")


def ranked(records: Iterable[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Give the completed trials, the best on validation first; of equals the earlier one."""
    sign = -1 if objective.mode == "max" else 1
    measured = [
        (sign * record.measured.by(objective.selection), record)
        for record in records
        if record.state == "completed" and record.measured
    ]
    return [record for _, record in sorted(measured, key=lambda pair: pair[0])]


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Name each dotted key by its last part, or by more parts where that is another key's too.

    Args:
        keys: such as `model.optimizer.init_args.lr`.

    Returns:
        Key -> shortest name that is no other key's.
    """
    keys = list(dict.fromkeys(keys))

    def tail(key: str, parts: int) -> str:
        return ".".join(key.split(".")[-parts:])

    def shortest(key: str) -> str:
        lengths = range(1, key.count(".") + 2)
        others = [other for other in keys if other != key]
        names = (tail(key, n) for n in lengths if all(tail(o, n) != tail(key, n) for o in others))
        return next(names, key)

    return {key: shortest(key) for key in keys}


def trial_rows(records: Sequence[TrialRecord], objective: Objective) -> list[dict[str, Any]]:
    """Give the leaderboard of a round: ranked trials, then those that have no rank.

    The rank comes from validation alone. Trials that have not begun are left out.

    Args:
        records: every trial of the round.
        objective: what ranks.

    Returns:
        A row a trial, each with the same columns: rank, trial, arm, best, best step, final, the
        mean of the last few, state, and the hyperparameters by their short names.
    """
    order = ranked(records, objective)
    begun = [record for record in records if record.state not in ("waiting", "cancelled")]
    names = short_names(key for record in begun for key in record.values)
    places = {record.trial: rank for rank, record in enumerate(order, 1)}
    rest = [record for record in begun if record.trial not in places]
    return [
        {
            "rank": places.get(record.trial),
            "trial": record.trial,
            "arm": record.arm,
            "best": record.measured and record.measured.best,
            "best step": record.measured and record.measured.best_step,
            "final": record.measured and record.measured.final,
            f"last {objective.last}": record.measured and record.measured.last,
            "state": _state(record),
            **{name: record.values.get(key) for key, name in names.items()},
        }
        for record in (*order, *rest)
    ]


def _state(record: TrialRecord) -> str:
    if record.stopped_early:
        return "stopped early"
    return f"{record.state}: {record.cause}" if record.cause else record.state


def arm_rows(records: Sequence[TrialRecord], objective: Objective) -> list[dict[str, Any]]:
    """Give a row an arm, the best arm first: its best trial, and what became of the others.

    Args:
        records: every trial of the round.
        objective: what ranks.
    """
    order = ranked(records, objective)
    best: dict[str, TrialRecord] = {}
    for record in order:
        best.setdefault(record.arm, record)
    arms = dict.fromkeys([*best, *(record.arm for record in records)])
    rows = []
    for arm in arms:
        counts = Counter(record.state for record in records if record.arm == arm)
        top = best.get(arm)
        rows.append(
            {
                "arm": arm,
                objective.selection: top and top.measured and top.measured.by(objective.selection),
                "trial": top and top.trial,
                "completed": counts["completed"],
                "infeasible": counts["infeasible"],
                "failed": counts["failed"],
                "waiting": counts["waiting"] + counts["interrupted"],
            }
        )
    return rows


def round_rows(root: Path = ROOT) -> list[dict[str, Any]]:
    """Give a row a round that has been run, in the order of their names.

    Args:
        root: folder of all rounds.
    """
    files = sorted(root.glob("[!.]*/round.yaml"))  # a round that is being looked over is hidden
    return [_round_row(RoundFolder(file.parent)) for file in files]


def _round_row(folder: RoundFolder) -> dict[str, Any]:
    try:
        round = read_round(folder.round)
        records = read_records(folder, round.objective, round.retry.attempts)
    except (InputError, OSError) as error:
        return {
            **dict.fromkeys(ROUND_COLUMNS),
            "round": folder.name,
            "question": f"cannot be read: {error}",
        }
    order = ranked(records, round.objective)
    best = order[0] if order else None
    looks = {look.trial: look.public for look in read_looks(folder)}
    cells = (
        folder.name if round.evidence else f"{folder.name} (NOT EVIDENCE)",
        round.goal.question,
        sum(record.state in ("completed", "infeasible", "failed") for record in records),
        len(records),
        best and best.trial,
        best and best.measured and best.measured.by(round.objective.selection),
        round.objective.metric,
        best and looks.get(best.trial),
    )
    return dict(zip(ROUND_COLUMNS, cells, strict=True))


def mixed(records: Iterable[TrialRecord]) -> list[str]:
    """Say what differs between the trials of a round that should not: a line a thing.

    Args:
        records: of the round; those without an environment are left out.

    Returns:
        Such as `host: one (3 of 20 trials), two (17 of 20 trials)`; nothing where all agree.
    """
    seen: dict[str, Counter[str]] = {}
    for record in records:
        if record.environment:
            told = {name: record.environment.get(name) for name in ENVIRONMENT}
            for key, value in _leaves(told):
                seen.setdefault(key, Counter())[value] += 1
    return [
        f"{key}: "
        + ", ".join(
            f"{value} ({n} of {counts.total()} trials)" for value, n in sorted(counts.items())
        )
        for key, counts in seen.items()
        if len(counts) > 1
    ]


def _leaves(value: Any, key: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else name)
    else:
        text = str(value)
        yield key, text[:8] if len(text) >= 40 and " " not in text else text  # a hash


def title(round: Round, what: str = "") -> str:
    """Name a round's table, and stamp it where its figures are no evidence.

    Args:
        round: what it is.
        what: the table shows; the leaderboard's own words, if empty.
    """
    objective = round.objective
    how = {"best": "best", "final": "final", "last": f"mean of the last {objective.last}"}
    name = what or f"{how[objective.selection]} {objective.metric} on validation"
    stamp = "" if round.evidence else " (NOT EVIDENCE: cut by --quick)"
    return f"{round.name}: {name}{stamp}"


def as_table(rows: Sequence[Mapping[str, Any]], title: str, width: float = math.inf) -> "Table":
    """Draw rows; where there is no room for all columns, some are left out rather than cut.

    Args:
        rows: all with the columns of the first.
        title: over the table.
        width: characters a line.
    """
    from rich.table import Table
    from rich.text import Text

    # As Text, since in a plain string rich takes [words] for markup and swallows them.
    table = Table(title=Text(title), title_justify="left")
    values = {name: [row.get(name) for row in rows] for name in (rows[0] if rows else ())}
    cells = {name: _cells(column) for name, column in values.items()}
    left_out = _too_many(cells, width)
    for name in left_out:
        del cells[name]
    for name in cells:
        numbers = all(isinstance(value, int | float | None) for value in values[name])
        table.add_column(name, justify="right" if numbers else "left", no_wrap=name == "trial")
    for line in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, line))
    if left_out:
        table.caption = f"no room for: {', '.join(left_out)}"
    return table


def _too_many(cells: Mapping[str, list[str]], width: float) -> list[str]:
    """Give the columns to leave out."""
    needed = {name: max(map(len, (name, *column))) + 3 for name, column in cells.items()}
    left_out: list[str] = []
    for spare in SPARE:
        if sum(needed.values()) + 1 <= width:
            break
        for name in [name for name in needed if name == spare or name.startswith(f"{spare} ")]:
            del needed[name]
            left_out.append(name)
    return left_out


def _cells(values: Sequence[Any]) -> list[str]:
    floats = [abs(value) for value in values if isinstance(value, float)]
    # Accuracies and losses line up; what spans decades keeps its digits.
    form = ".4f" if all(0.01 <= value < 100 for value in floats) else ".4g"
    return [
        "" if value is None else f"{value:{form}}" if isinstance(value, float) else str(value)
        for value in values
    ]
