"""The commands of drafts, as the command line takes them."""

import argparse
from collections.abc import Callable

__all__ = ["add_commands"]

AddCommand = Callable[[str, str], argparse.ArgumentParser]


def add_commands(command: AddCommand, on_round: AddCommand) -> None:
    """Add them.

    Args:
        command: adds a command, given its name and what it does.
        on_round: the same for one that takes a round.
    """
