"""A round's folder, the truth about a round: what stands where in it."""

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError

__all__ = ["KEPT", "ROOT", "RoundFolder", "check_proof", "find_round", "write_atomically"]

ROOT = Path("runs/rounds")

KEPT = Path("results/rounds")
"""Where rounds are kept once they have ended."""


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is whole or not there, whatever happens meanwhile."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(file.name, 0o644)  # a temporary file is its owner's alone, a round is for others too
    os.replace(file.name, path)


class RoundFolder:
    """Paths inside a round's folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.round = self.path / "round.yaml"
        """The round with every default, as it runs."""
        self.source = self.path / "source.yaml"
        """The round file as a person wrote it."""
        self.configs = self.path / "configs"
        """Copies of the base configs, in order: 0-rnn.yaml, 1-..."""
        self.design = self.path / "design.csv"
        """A line a trial: trial, arm, point, seed, and a column a hyperparameter."""
        self.journal = self.path / "study.journal"
        """The Optuna study, where its storage is the journal."""
        self.trials = self.path / "trials"
        """A folder a trial, in it a folder an attempt."""
        self.home = self.path / "home.txt"
        """Where it began, seen from here: relative paths, such as data.root's, begin there."""

    @property
    def name(self) -> str:
        """Name of the round."""
        return self.path.name

    def base_configs(self) -> list[Path]:
        """Give the copied base configs in the order in which they apply."""
        files = self.configs.glob("*.yaml")
        return sorted(files, key=lambda file: int(file.name.split("-")[0]))

    def attempt(self, trial: str, attempt: int) -> Path:
        """Give the folder of an attempt (from 1) at a trial."""
        return self.trials / trial / f"attempt-{attempt}"

    def attempts(self, trial: str) -> list[Path]:
        """Give the folders of all attempts at a trial, the newest last."""
        found = (self.trials / trial).glob("attempt-*")
        return sorted(found, key=lambda folder: int(folder.name.removeprefix("attempt-")))

    def settle(self) -> None:
        """Note that the round's relative paths begin in the working directory."""
        home = os.path.relpath(Path.cwd(), self.path.resolve())
        write_atomically(self.home, home + "\n")

    def go_home(self) -> "RoundFolder":
        """Make where the round began the working directory, or trials would read other files.

        Returns:
            The same folder, by a path that holds there.

        Raises:
            InputError: this machine has no such place.
        """
        if not self.home.is_file():
            return self
        here = self.path.resolve()
        home = (here / self.home.read_text(encoding="utf-8").strip()).resolve()
        if not home.is_dir():
            raise InputError(
                f"{self.path} began in {home}, where its data and configs are, and there is no "
                f"such folder here: make it, or write another into {self.home}"
            )
        if home == Path.cwd():
            return self
        os.chdir(home)
        return RoundFolder(here)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON file of the round atomically."""
        write_atomically(self.path / name, json.dumps(value, indent=2) + "\n")


def check_proof(folder: Path, proof: str) -> None:
    """Refuse to work in a round's folder that is not the one which others see, but a copy.

    Args:
        folder: of the round.
        proof: path in it of a file that whoever starts workers has just written there.

    Raises:
        InputError: the folder, or the file, is not there.
    """
    if not (folder / proof).is_file():
        raise InputError(
            f"{platform.node()} does not see {folder} as whoever started this worker does: a "
            "round's folder must be on a disk that every worker shares"
        )


def find_round(name: str, root: Path = ROOT) -> RoundFolder:
    """Find a round that has been run.

    Args:
        name: its name, its folder, or its file under sweeps/.
        root: folder of all rounds.

    Raises:
        InputError: there is no such round.
    """
    for path in (Path(name), root / name, root / Path(name).stem):
        if (path / "round.yaml").is_file():
            return RoundFolder(path)
    there = sorted(file.parent.name for file in root.glob("[!.]*/round.yaml"))
    known = f"there is {', '.join(there)}" if there else "none has been run"
    if (KEPT / name / "round.yaml").is_file():
        known += f"; one is kept, give its folder: {KEPT / name}"
    raise InputError(f"no round {name!r} under {root}: {known}")
