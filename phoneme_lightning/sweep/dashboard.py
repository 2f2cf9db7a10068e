"""A round's study in optuna-dashboard, to look at and not to change."""

from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.round import Round

__all__ = ["open_to_read", "serve"]


class ReadOnlyJournal(JournalFileBackend):
    """A journal that takes nothing: the dashboard's own lock is not the one that workers hold."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse.

        Raises:
            PermissionError: always.
        """
        raise PermissionError("a round is only read here: phoneme-sweep changes it")


def open_to_read(folder: RoundFolder, round: Round) -> BaseStorage:
    """Open the storage of a round's study.

    A journal cannot be written through what this gives; a database can.

    Args:
        folder: of the round.
        round: what it is.

    Raises:
        InputError: there is no study yet.
    """
    if round.storage.url != "journal":
        return RDBStorage(round.storage.url)
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
