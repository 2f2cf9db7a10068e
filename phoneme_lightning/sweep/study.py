"""A round's Optuna study, in the journal in its folder or in a database."""

from collections.abc import Iterable

import optuna
from filelock import FileLock
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.ending import CONSTRAINT, Ending
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.journal_lock import JournalLock
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.storage import explain, open_storage, show_url
from phoneme_lightning.sweep.storage_patient import DATABASE_ERRORS
from phoneme_lightning.sweep.study_owner import check_owner, made_in, own

__all__ = [
    "CONSTRAINT_KEY",
    "Attempts",
    "RoundStudy",
    "by_trial",
    "create_study",
    "last_attempt",
    "lock_study",
]

CONSTRAINT_KEY = f"constraints:{CONSTRAINT}"
"""Where `Trial.set_constraint` puts it; to make a Trial would ask the sampler for a point."""

Attempts = dict[int, FrozenTrial]
"""The attempts at a trial of the round, by their number from 1."""


def lock_study(folder: RoundFolder) -> FileLock:
    """Give the lock under which a round's study is made or replaced."""
    return FileLock(folder.path / ".study.lock")


def create_study(storage: BaseStorage, round: Round) -> optuna.Study:
    """Make a round's study, empty."""
    is_max = round.objective.mode == "max"
    return optuna.create_study(
        storage=storage,
        study_name=round.name,
        direction=StudyDirection.MAXIMIZE if is_max else StudyDirection.MINIMIZE,
        load_if_exists=True,  # by a call whose answer was lost
    )


def _open_study(folder: RoundFolder, round: Round) -> tuple[optuna.Study, JournalLock | None]:
    """Open a round's study; it is made where no trial has begun yet.

    Returns:
        The study, and the lock of its journal.

    Raises:
        InputError: the study is gone though trials have begun.
    """
    url = round.storage.url
    in_journal = url == "journal"
    with lock_study(folder):
        has_begun = bool(made_in(folder)) or any(folder.trials.glob("*/attempt-*"))
        if not (has_begun and in_journal and not folder.journal.exists()):
            storage, lock = open_storage(url, folder.journal)
            if round.name in optuna.get_all_study_names(storage):
                study = optuna.load_study(study_name=round.name, storage=storage)
                if not in_journal:
                    check_owner(folder, study, url)
                return study, lock
            if not in_journal and not made_in(folder) and folder.journal.exists():
                raise InputError(
                    f"the study of {round.name} is {folder.journal}, and {show_url(url)} holds "
                    "none: leave --storage out; or, to move the study, change storage.url in "
                    f"{folder.round} while nothing runs, and then `phoneme-sweep doctor "
                    f"{folder.path} --rebuild-study`"
                )
            if not has_begun:
                study = create_study(storage, round)
                if not in_journal:
                    own(folder, study, url)
                return study, lock
    if in_journal and (database := made_in(folder)):
        raise InputError(
            f"the study of {round.name} is in {database}, and no journal: leave --storage out, or "
            "give that"
        )
    place = folder.journal if in_journal else made_in(folder) or "the database in storage.url"
    raise InputError(
        f"the study of {round.name} is gone from {place}, but trials have begun: put it back, or "
        f"make it again with `phoneme-sweep doctor {folder.path} --rebuild-study`"
    )


def by_trial(trials: Iterable[FrozenTrial]) -> dict[str, Attempts]:
    """Give the attempts at each trial of the round, by its name.

    Two drivers that enqueue at once make twins. The one with the lowest number counts: numbers are
    given in order, so whoever sees a trial sees all that it may be the twin of.
    """
    found: dict[str, Attempts] = {}
    for trial in trials:
        attrs = trial.user_attrs
        if "trial" in attrs:  # a trial that was asked for and not yet adopted has no name
            found.setdefault(attrs["trial"], {}).setdefault(attrs["attempt"], trial)
    return found


def last_attempt(folder: RoundFolder, trial: str) -> int:
    """Give the number of the newest attempt that a trial's folder holds; 0 without any."""
    numbers = [int(path.name.removeprefix("attempt-")) for path in folder.attempts(trial)]
    return max(numbers, default=0)


class RoundStudy:
    """A round's study, opened anew where it was replaced.

    Args:
        folder: of the round.
        round: what it is.

    Raises:
        InputError: the study is gone though trials have begun, or the storage's URL is none, or
            nothing answers there.
    """

    def __init__(self, folder: RoundFolder, round: Round) -> None:
        self._folder, self._round = folder, round
        try:
            self._open()
        except DATABASE_ERRORS as error:
            raise explain(error) from error

    def _open(self) -> None:
        self._study, self._lock = _open_study(self._folder, self._round)

    @property
    def study(self) -> optuna.Study:
        """The study as it is now."""
        if self._lock is not None and not self._lock.is_current():
            self._open()
        return self._study

    @property
    def storage(self) -> BaseStorage:
        """Where the study is."""
        return self.study._storage

    def trials(self) -> list[FrozenTrial]:
        """Give all trials of the study, to read only."""
        try:
            return self.study.get_trials(deepcopy=False)
        except KeyError:  # a database's study was replaced
            self._open()
            return self.study.get_trials(deepcopy=False)

    def set(self, trial_id: int, **attrs: object) -> None:
        """Set user attributes, one after the other.

        Raises:
            UpdateFinishedTrialError: the trial has ended.
        """
        for key, value in attrs.items():
            self.storage.set_trial_user_attr(trial_id, key, value)

    def end(self, trial: FrozenTrial, ending: Ending) -> bool:
        """End a trial, whether it waits or runs.

        Returns:
            False where somebody ended it before.
        """
        trial_id = trial._trial_id
        try:
            if ending.label == "infeasible":
                self.storage.set_trial_system_attr(trial_id, CONSTRAINT_KEY, 1.0)
            self.set(trial_id, **ending.attrs)
            values = None if ending.value is None else [ending.value]
            return bool(self.storage.set_trial_state_values(trial_id, ending.state, values))
        except UpdateFinishedTrialError:
            return False
