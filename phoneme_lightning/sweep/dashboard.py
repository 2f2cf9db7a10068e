"""A round's study in optuna-dashboard, to look at and not to change."""

from typing import Any

import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.storage import open_database

__all__ = ["open_to_read", "serve"]

REFUSAL = "a round is only read here: phoneme-sweep changes it"


class ReadOnlyJournal(JournalFileBackend):
    """A journal that takes nothing: the dashboard's own lock is not the one that workers hold."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse.

        Raises:
            PermissionError: always.
        """
        raise PermissionError(REFUSAL)


def _refuse_changes(storage: RDBStorage) -> None:
    @sqlalchemy.event.listens_for(storage.engine, "before_cursor_execute")
    def look(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if statement.split(maxsplit=1)[0].upper() in ("INSERT", "UPDATE", "DELETE"):
            raise PermissionError(REFUSAL)


def open_to_read(folder: RoundFolder, round: Round) -> BaseStorage:
    """Open the storage of a round's study, which cannot be changed through what this gives.

    Args:
        folder: of the round.
        round: what it is.

    Raises:
        InputError: there is no study yet.
    """
    if round.storage.url != "journal":
        storage = open_database(round.storage.url)
        _refuse_changes(storage)
        return storage
    if not folder.journal.is_file():
        raise InputError(f"{folder.journal} is missing: run the round, or `phoneme-sweep doctor`")
    return JournalStorage(ReadOnlyJournal(str(folder.journal)))


def serve(folder: RoundFolder, round: Round, port: int) -> int:
    """Serve the dashboard until Ctrl-C.

    Raises:
        InputError: optuna-dashboard is not installed.
    """
    try:
        from optuna_dashboard import run_server
    except ImportError as error:
        raise InputError(
            "optuna-dashboard is not installed: pip install 'phoneme-lightning[dashboard]'"
        ) from error
    print(f"http://127.0.0.1:{port}/dashboard shows {round.name}; Ctrl-C ends it", flush=True)
    run_server(open_to_read(folder, round), host="127.0.0.1", port=port)
    return 0
