"""A person's mistakes, and how the commands answer them: one line instead of a traceback."""

import argparse
import os
import re
import select
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["CommandParser", "InputError", "redact", "run_command"]

PASSWORD = re.compile(
    r"(://[^\s/:@]*:)\S+(?=@)|([?&](?:ssl)?pass(?:word|wd)=)[^\s&]+", re.IGNORECASE
)


def redact(text: str) -> str:
    """Put *** for the password in a URL of a database, wherever it stands in a text."""
    return PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", text)


class InputError(Exception):
    """A mistake in what a person gave: its message names the key, the value and the fix.

    The commands print it as `error: ...` and leave with exit code 2.
    """


class CommandParser(argparse.ArgumentParser):
    """A parser that raises its complaints, for `run_command` to print."""

    def error(self, message: str) -> NoReturn:
        """Raise a complaint.

        Raises:
            InputError: always.
        """
        raise InputError(f"{message} (see {self.prog} --help)")


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and leave the process: the body of every entry point.

    A person's mistake, an unknown key or a wrong type is one line `error: ...` on stderr and exit
    code 2; Ctrl-C is one line and 130; where nobody reads the output any more, 141 and no line.
    With `--debug` anywhere on the command line (it is taken out of `sys.argv` before the command
    sees it) the others show their tracebacks.

    Args:
        command: parses `sys.argv` and does the work; gives the exit code, None for 0. Parsers
            inside must be made with `exit_on_error=False`.
    """
    debug = "--debug" in sys.argv
    sys.argv[:] = [word for word in sys.argv if word != "--debug"]
    try:
        code = command()
        sys.stdout.flush()
        sys.exit(code)
    except KeyboardInterrupt:
        if debug:
            raise
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
    except (InputError, argparse.ArgumentError) as error:
        if debug:
            raise
        print("error:", redact(" ".join(str(error).split())), file=sys.stderr)
        sys.exit(2)
    except (ValueError, ArithmeticError, OSError) as error:
        # What libraries raise for a value that they cannot use, a full disk, a folder kept shut.
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            sys.exit(141)
        if debug:
            raise
        line = redact(" ".join(str(error).split()))
        print(f"error: {line} ({type(error).__name__}; --debug shows where)", file=sys.stderr)
        sys.exit(2)


def _nobody_reads() -> bool:
    """Tell whether the output's reader, such as `head`, has seen enough and is gone."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    is_gone = bool(output.poll(0))  # of a pipe without a reader it tells even if not asked
    if is_gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush fails
    return is_gone
