"""The one exception that the commands print as a single line, without a traceback."""

__all__ = ["InputError"]


class InputError(Exception):
    """A mistake in what a person gave: its message names the key, the value and the fix.

    The commands print it as `error: ...` and leave with exit code 2.
    """
