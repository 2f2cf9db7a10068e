"""A database on a server, which may be away for a moment: it is asked again until it answers."""

import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any, TypeVar

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage

from phoneme_lightning.errors import redact
from phoneme_lightning.sweep.storage_sparing import SparingStorage

__all__ = ["DATABASE_ERRORS", "PatientStorage", "patiently", "say_fault"]

DATABASE_ERRORS = StorageInternalError, sqlalchemy.exc.SQLAlchemyError

AWAY = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)

CALL_SECONDS = 6.0
"""For how long a call is made again; a driver goes on asking after that, and looks at its trials
in between."""

FIRST_WAIT_SECONDS = 0.1

T = TypeVar("T")

_draw = random.Random()  # of its own: nobody's seeds know of it


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # Optuna asks once more, in the same transaction, after any fault in reading the trials.
        is_second = isinstance(error, sqlalchemy.exc.PendingRollbackError)
        error = error.__context__ if is_second else error.__cause__


def say_fault(error: BaseException) -> str:
    """Say in a line why a storage does not answer; Optuna's own words are seldom the reason."""
    *_, cause = _causes(error)
    return redact(" ".join(str(cause).split())) or type(cause).__name__


def _is_away(error: BaseException) -> bool:
    """Say whether a database was away or busy; what was wrong with the question stays wrong."""
    return any(
        isinstance(cause, AWAY)
        or (isinstance(cause, sqlalchemy.exc.DBAPIError) and cause.connection_invalidated)
        for cause in _causes(error)
    )


def patiently(call: Callable[[], T], seconds: float) -> T:
    """Call, and call again while the database is away, at growing distances.

    One line says so where it answers at last.

    Args:
        call: what may be done twice.
        seconds: after which no further call begins.

    Raises:
        Exception: what the last call raised.
    """
    began, wait, fault = time.monotonic(), FIRST_WAIT_SECONDS, ""
    while True:
        try:
            answer = call()
        except DATABASE_ERRORS as error:
            if not _is_away(error) or time.monotonic() - began + wait > seconds:
                raise
            fault = fault or say_fault(error)
        else:
            if fault:
                away = time.monotonic() - began
                said = f"the storage did not answer for {away:.1f} s, and does again ({fault})"
                print(said, file=sys.stderr, flush=True)
            return answer
        time.sleep(wait * _draw.uniform(0.5, 1.5))  # not all workers at the same moment
        wait *= 2


class PatientStorage(SparingStorage):
    """Asks again where the database is away.

    A call whose answer was lost may have been carried out. What is set is set to the same again. A
    trial that was made twice is a twin, which the ledger closes. A database ends no trial twice:
    who is refused reads what was told, and the ledger knows its own words. A claim that was carried
    out is not given to the one who asks again: it bears nobody's name, and is reaped.
    """


def _patient(name: str) -> Callable[..., Any]:
    method = getattr(SparingStorage, name)

    @wraps(method)
    def call(self: PatientStorage, *arguments: Any, **named: Any) -> Any:
        return patiently(partial(method, self, *arguments, **named), CALL_SECONDS)

    return call


for _name in BaseStorage.__abstractmethods__:
    setattr(PatientStorage, _name, _patient(_name))
