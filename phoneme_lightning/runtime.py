"""What a process that calculates on a CPU asks of OpenMP and of the kernel's memory."""

import os

__all__ = ["set_environment"]


def set_environment() -> None:
    """Set what PyTorch's libraries read when they are loaded; what is set already stays.

    GOMP_SPINCOUNT: GNU's OpenMP (libgomp, in PyTorch's wheels for Linux) lets a thread that waits
    spin for milliseconds, so that on cores which others use too, each burns the time that the one
    it waits for needs, and a step may take ten times as long. So it spins for some microseconds,
    and then sleeps.

    THP_MEM_ALLOC_ENABLE: PyTorch's own switch for huge pages. A tensor's memory is fresh at each
    step, and the kernel fills it with zeros: by 2 MiB at a time, not by 4 KiB.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
