"""The inside of a trial's process, whichever way it was started."""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import wait
from threading import Thread

__all__ = ["die_with", "run_program"]


def die_with(sentinel: int) -> None:
    """Kill this process, and all of its process group, as soon as its worker is dead.

    The process must lead a group of its own.

    Args:
        sentinel: a file descriptor whose other end the worker alone holds: when the worker dies,
            however it does, the kernel closes that.
    """

    def watch() -> None:
        wait([sentinel])
        os.killpg(0, signal.SIGKILL)

    Thread(target=watch, name="die with the worker", daemon=True).start()


def run_program(program: str, argv: Sequence[str]) -> None:
    """Run a command as its console script would.

    Args:
        program: the module whose `main` is the command.
        argv: the command line, its name first.
    """
    sys.argv[:] = argv
    importlib.import_module(program).main()


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    run_program(sys.argv[2], sys.argv[3:])
