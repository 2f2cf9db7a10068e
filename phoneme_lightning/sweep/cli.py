"""The command `phoneme-sweep`: a place kept for the rounds of tuning."""

import sys

__all__ = ["main"]


def main() -> int:
    """Say that there are no rounds yet, whatever is asked.

    Returns:
        The exit code: 0 where only help was asked for, else 2.
    """
    asked_for_help = sys.argv[1:] in (["--help"], ["-h"])
    print(
        "phoneme-sweep: rounds of tuning are not in this version yet",
        file=sys.stdout if asked_for_help else sys.stderr,
    )
    return 0 if asked_for_help else 2
