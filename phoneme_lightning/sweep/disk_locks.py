"""Whether a disk knows the locks by which processes, also of several machines, take turns."""

import errno
import fcntl
import tempfile
from pathlib import Path

from phoneme_lightning.errors import InputError

__all__ = ["check_locks"]

NO_LOCKS = errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP


def check_locks(folder: Path, for_journal: bool) -> None:
    """Make sure that a round can be kept in a folder.

    Args:
        folder: on the disk in question.
        for_journal: whether its study is to be a journal, which takes a disk that knows flock.
            Otherwise one will do that at least says so: filelock makes files its locks there.

    Raises:
        InputError: its disk knows no locks.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            can_do_without = error.errno == errno.ENOSYS
            if can_do_without and not for_journal:
                return
            otherwise = ", or keep the study in a database (--storage URL)" * can_do_without
            raise InputError(
                f"the disk of {folder} knows no locks ({error.strerror}): mount it with flock"
                f"{otherwise}"
            ) from None
