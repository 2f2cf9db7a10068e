"""What the parsers of all commands share; it imports nothing that takes time."""

import argparse
from collections.abc import Callable
from pathlib import Path

__all__ = ["AddCommand", "add_root"]

ROOT = Path("runs/rounds")

AddCommand = Callable[[str, str], argparse.ArgumentParser]
"""Adds a command, given its name and what it does."""


def add_root(added: argparse.ArgumentParser) -> None:
    """Give a command the option that says where rounds are."""
    added.add_argument(
        "--root", type=Path, default=ROOT, help=f"folder of all rounds (default: {ROOT})"
    )
