"""Whether a disk knows locks; none can be had here that does not, so flock is replaced."""

import errno
import fcntl
import os

import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.disk_locks import check_locks


def test_a_disk_that_knows_locks_will_do(tmp_path):
    check_locks(tmp_path, for_journal=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "for_journal", "said"),
    [
        (errno.ENOSYS, True, r"knows no locks .*: mount it with flock, or keep the study in a d"),
        (errno.ENOSYS, False, None),
        (errno.ENOLCK, True, r"knows no locks \(No locks available\): mount it with flock$"),
        (errno.ENOLCK, False, r"knows no locks \(No locks available\): mount it with flock$"),
    ],
)
def test_a_disk_without_is_told_with_what_helps(tmp_path, monkeypatch, number, for_journal, said):
    def flock(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    if said is None:
        check_locks(tmp_path, for_journal)
        return
    with pytest.raises(InputError, match=said):
        check_locks(tmp_path, for_journal)
