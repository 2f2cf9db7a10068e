"""Opens the storage of a round's study: the journal in its folder, or a database."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from phoneme_lightning.errors import InputError, redact
from phoneme_lightning.sweep.journal_lock import JournalLock
from phoneme_lightning.sweep.storage_patient import (
    DATABASE_ERRORS,
    PatientStorage,
    patiently,
    say_fault,
)
from phoneme_lightning.sweep.storage_sparing import SparingStorage
from phoneme_lightning.sweep.storage_url import EXAMPLES, resolve_url

__all__ = [
    "STORAGE_ERRORS",
    "check_storage",
    "explain",
    "open_database",
    "open_storage",
    "show_url",
]

STORAGE_ERRORS: tuple[type[Exception], ...] = (OSError, *DATABASE_ERRORS)
"""What a storage that does not answer raises; the same call may go well later."""

BUSY_SECONDS = 10.0  # how long SQLite waits for its turn
OPENING_SECONDS = 20.0  # how long a server is asked again where a command begins with it

LIBPQ = {
    "connect_timeout": "10",
    # A server that falls silent is taken for gone within a minute.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "phoneme-sweep",
    # And so is a worker that falls silent in a transaction, for whose locks all others wait.
    "options": "-c idle_in_transaction_session_timeout=60s",
}
"""What a connection to PostgreSQL is told, unless the URL tells it otherwise."""

SCHEMA_LOCK = 0x70686F6E656D65  # "phoneme"


def _one_at_a_time(engine: sqlalchemy.Engine) -> None:
    # SQLite knows no FOR UPDATE, by which Optuna keeps two from claiming one trial: among four
    # processes 42 of 100 trials went to two. So a transaction writes from its first moment.
    @sqlalchemy.event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()


def _parse(told: str) -> sqlalchemy.URL:
    try:
        url = sqlalchemy.make_url(resolve_url(told))
    except (sqlalchemy.exc.ArgumentError, ValueError):  # which may quote the password
        raise InputError(f"storage.url is no URL of a database: {EXAMPLES}") from None
    if "@" in (url.host or ""):  # it is the password's, and would be shown
        raise InputError("storage.url holds more than one @: write that of the password as %40")
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        return url
    query = {**LIBPQ, **url.query}
    return url.set(drivername="postgresql+psycopg", query=query)


def show_url(told: str) -> str:
    """Write the URL of a database for people, without its password.

    Args:
        told: as a round file has it.

    Raises:
        InputError: it is none.
    """
    return redact(_parse(told).difference_update_query(LIBPQ).render_as_string())


@contextmanager
def _alone(url: sqlalchemy.URL) -> Iterator[None]:
    """Keep others from opening a PostgreSQL database: two that make its tables at once both fail.

    The lock is a transaction's, so the server frees it however its holder ends.
    """
    if url.get_backend_name() != "postgresql":
        yield
        return
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(SCHEMA_LOCK)))
        yield


def _connect(url: sqlalchemy.URL) -> RDBStorage:
    whole = url.render_as_string(hide_password=False)
    if url.get_backend_name() == "sqlite":
        storage = RDBStorage(whole, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})
        _one_at_a_time(storage.engine)
        return storage
    # A worker keeps one connection. Optuna needs a second for as long as it looks at the tables.
    options = {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}

    def connect() -> RDBStorage:
        with _alone(url):
            return RDBStorage(whole, engine_kwargs=dict(options))

    return patiently(connect, OPENING_SECONDS)


def open_database(told: str) -> RDBStorage:
    """Open a database, and make Optuna's tables where they are not there.

    Args:
        told: its URL, `env:NAME` or `file:PATH`.

    Raises:
        InputError: there is none at that URL, its driver is missing, or another release of Optuna
            made its tables.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # It warns, with all of its SQL, of what is asked again here.
    optuna.logging.get_logger(RDBStorage.__module__).setLevel(logging.ERROR)
    try:
        return _connect(_parse(told))
    except ImportError as error:
        raise InputError(
            f"storage.url is a database whose driver is missing ({error.__cause__ or error}): "
            "install it, for postgresql://... by pip install 'phoneme-lightning[postgres]'"
        ) from error
    except sqlalchemy.exc.ArgumentError as error:
        raise InputError(f"storage.url cannot be used ({error}): {EXAMPLES}") from error
    except RuntimeError as error:
        raise InputError(f"storage.url cannot be used: {error}") from error


def explain(error: BaseException) -> InputError:
    """Say why a command cannot begin with its storage, and what would help."""
    fault = say_fault(error)
    if "password" in fault:
        advice = "keep the password in ~/.pgpass, or give env:NAME or file:PATH with the whole URL"
    elif "does not exist" in fault:
        advice = "make it, such as by createdb, or write one that is there"
    else:
        advice = "start it, or write one that does, or journal"
    return InputError(f"the database in storage.url does not answer ({fault}): {advice}")


def check_storage(url: str) -> None:
    """Make sure that a study can be kept somewhere, before anything is made for it.

    Args:
        url: `journal`, or a database's.

    Raises:
        InputError: as of `open_database`, or the database does not answer.
    """
    if url == "journal":
        return
    try:
        open_database(url).engine.dispose()
    except DATABASE_ERRORS as error:
        raise explain(error) from error


def open_storage(url: str, journal: Path) -> tuple[BaseStorage, JournalLock | None]:
    """Open a storage, and make it where it is not there.

    Args:
        url: `journal`, or a database's.
        journal: the journal's file.

    Returns:
        The storage, and the lock of a journal.

    Raises:
        InputError: the URL is none, its driver is missing, or the journal is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url != "journal":
        database = open_database(url)
        is_file = database.engine.name == "sqlite"
        return (SparingStorage if is_file else PatientStorage)(database), None
    journal.touch()
    lock = JournalLock(journal)
    try:
        return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock)), lock
    except ValueError as error:
        raise InputError(
            f"{journal} is damaged ({error}): make it again with "
            f"`phoneme-sweep doctor {journal.parent} --rebuild-study`"
        ) from error
