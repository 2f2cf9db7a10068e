"""Makes a round's study again from its folder, which holds all that matters of it."""

from collections.abc import Iterator

import optuna
from optuna.storages import BaseStorage

from phoneme_lightning.sweep.design import read_design
from phoneme_lightning.sweep.ending import Ending, ending_of, worst
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.optuna_space import round_distributions, study_trial
from phoneme_lightning.sweep.records import OPEN, TrialRecord, read_record
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.storage import open_storage
from phoneme_lightning.sweep.study import create_study, lock_study
from phoneme_lightning.sweep.study_owner import own

__all__ = ["rebuild_study"]


def rebuild_study(folder: RoundFolder, round: Round) -> str:
    """Make a round's study again, while no worker runs.

    What is undecided waits. Nothing is deleted: the old journal gets the ending .bak, and in a
    database the old study is kept under such a name.

    Args:
        folder: of the round.
        round: what it is.

    Returns:
        Where the old study is kept; "" where there was none.
    """
    with lock_study(folder):
        if round.storage.url != "journal":
            storage, _ = open_storage(round.storage.url, folder.journal)
            kept = _set_aside(storage, round.name)
            own(folder, _fill(storage, folder, round), round.storage.url)
            return kept
        made = folder.path / f"{folder.journal.name}.new"
        made.unlink(missing_ok=True)
        storage, _ = open_storage("journal", made)
        _fill(storage, folder, round)
        kept = ""
        if folder.journal.exists():
            taken = {path.name for path in folder.path.iterdir()}
            kept = str(folder.journal.rename(folder.path / _free(folder.journal.name, taken)))
        made.rename(folder.journal)
        return kept


def _free(name: str, taken: set[str]) -> str:
    """Give the first of name.bak, name.bak2, ... that is not taken."""
    found, count = f"{name}.bak", 1
    while found in taken:
        count += 1
        found = f"{name}.bak{count}"
    return found


def _set_aside(storage: BaseStorage, name: str) -> str:
    names = set(optuna.get_all_study_names(storage))
    if name not in names:
        return ""
    kept = _free(name, names)
    optuna.copy_study(
        from_study_name=name, from_storage=storage, to_storage=storage, to_study_name=kept
    )
    optuna.delete_study(study_name=name, storage=storage)
    return kept


def _fill(storage: BaseStorage, folder: RoundFolder, round: Round) -> optuna.Study:
    rows = read_design(folder.design)
    records = [read_record(folder, row, round.objective, round.retry.attempts) for row in rows]
    distributions = round_distributions(round, list(dict.fromkeys(row.arm for row in rows)))
    completed = [ending_of(record, round.objective, None) for record in records]
    values = [one.value for one in completed if one.label == "completed" and one.value is not None]
    bad = worst(values, round.objective)
    study = create_study(storage, round)
    for order, (row, record) in enumerate(zip(rows, records, strict=True)):
        for attempt, ending in _attempts(folder, record, round, bad):
            study.add_trial(study_trial(row, order, distributions, attempt, ending))
    return study


def _attempts(
    folder: RoundFolder, record: TrialRecord, round: Round, bad: float | None
) -> Iterator[tuple[int, Ending | None]]:
    """Give the attempts at a trial, each with its ending; none for one that waits."""
    paths = folder.attempts(record.trial)
    numbers = [int(path.name.removeprefix("attempt-")) for path in paths]
    if record.state in OPEN:
        last, ending = max(numbers, default=0) + 1, None
    else:
        last, ending = max(numbers, default=1), ending_of(record, round.objective, bad)
    for number in numbers:
        if number != last:
            yield number, Ending("interrupted")
    yield last, ending
