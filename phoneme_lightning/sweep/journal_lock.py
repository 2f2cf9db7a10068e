"""The lock of a study's journal: the kernel frees it when its holder dies, however it dies."""

import errno
import fcntl
import os
import weakref
from pathlib import Path

from optuna.storages.journal._file import BaseJournalFileLock

__all__ = ["JournalLock"]

TAIL = 1 << 20  # bytes; a line of the journal is far shorter


class JournalLock(BaseJournalFileLock):
    """Hold the journal itself by flock, and refuse to write where it is no longer what it was.

    Optuna's own locks are files, which outlive a holder that was killed and keep everybody waiting
    for 30 s. flock works between machines too, where the file system knows it: NFS does, and
    Lustre where it is mounted with `flock`. The file stays open for as long as the lock lives, so
    that no other file can be taken for it.

    Args:
        path: the journal, which must be there.

    Raises:
        OSError: it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR)
        weakref.finalize(self, os.close, self._file)

    def is_current(self) -> bool:
        """Say whether the path still names the file that was opened.

        Raises:
            FileNotFoundError: it names no file.
        """
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self._path} is gone: put it back, or make it again from the round's folder "
                "with `phoneme-sweep doctor ROUND --rebuild-study`"
            ) from None

    def acquire(self) -> bool:
        """Wait for the lock.

        Raises:
            OSError: the journal is gone, or another file has its name.
        """
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            if not self.is_current():
                raise OSError(errno.ESTALE, "the journal was replaced", str(self._path))
            self._mend()
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def _mend(self) -> None:
        # Who was killed in mid-write, or met a full disk, left half a line. What is appended to
        # it would make a line that is no JSON, and no reader gets beyond one.
        size = os.fstat(self._file).st_size
        start = max(0, size - TAIL)
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            tail = os.pread(self._file, size - start, start)
            os.ftruncate(self._file, start + tail.rfind(b"\n") + 1)
