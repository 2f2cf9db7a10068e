"""A run's folder: where everything that a fit leaves behind stands, and how it was made."""

import hashlib
import logging
import os
import shlex
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from phoneme_lightning import __version__
from phoneme_lightning.errors import InputError

__all__ = [
    "TERMINATED",
    "RunSettings",
    "exit_on_sigterm",
    "is_run",
    "known_folder",
    "log_to",
    "new_run_folder",
    "record_command",
    "run_folder_of",
    "say",
    "say_what_is_next",
    "show_on_screen",
]

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a command that SIGTERM ended."""

LOGGED = ("phoneme_lightning", "lightning.pytorch", "py.warnings")

_logger = logging.getLogger("phoneme_lightning")


@dataclass
class RunSettings:
    """Where a run writes, and what follows a fit."""

    name: str = "fit"
    """Name of the run: its folder is <root>/<name>/<time>-<hash of the config>."""

    root: str = "runs"
    """Folder of all runs."""

    folder: str | None = None
    """Folder of this run, in place of the one made from root, name, time and hash."""

    keep_best: int = 1
    """How many of the weights that validated best to keep: best.ckpt, and step=<step>.ckpt."""

    pictures: bool = True
    """Draw the curves and the confusions when the fit is over."""

    test_after_fit: bool = False
    """Score the best weights on the test split when the fit is over."""

    beat_baselines_by: float = 0.0
    """Exit with code 1 unless the test score beats silence and a linear probe by this share."""

    def __post_init__(self) -> None:
        if self.keep_best < 1:
            raise InputError(f"run.keep_best is {self.keep_best}: give at least 1")


def say(message: str) -> None:
    """Tell the person, on the screen and in the run's log."""
    _logger.info(message)


class _Screen(logging.Handler):
    """Prints to whatever is standard output at the time: a progress bar puts itself there."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), flush=True)


def show_on_screen() -> None:
    """Let what is said appear on standard output; without this the library stays silent."""
    if not any(isinstance(handler, _Screen) for handler in _logger.handlers):
        _logger.addHandler(_Screen())
    _logger.setLevel(logging.INFO)
    for noisy in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def exit_on_sigterm() -> None:
    """Let SIGTERM leave through every `finally`, with an exit code that says so.

    By itself it ends a process at once, and during a fit Lightning makes exit code 0 of it. Only
    the first one counts: what is being closed then shall not be cut off.
    """
    told = False

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, leave)


def is_run(folder: str | Path) -> bool:
    """Tell whether a run began in a folder."""
    return (Path(folder) / "config.yaml").is_file()


def run_folder_of(checkpoint: str | Path) -> Path | None:
    """Give the run's folder in which a checkpoint stands, if it stands in one."""
    folder = Path(checkpoint).resolve().parent.parent
    return folder if is_run(folder) else None


def known_folder(checkpoint: str | Path | None, given: str | None) -> Path | None:
    """Give the folder of the run that a checkpoint stands in, unless another was given."""
    known = run_folder_of(checkpoint) if checkpoint else None
    return known if known and (not given or Path(given).resolve() == known) else None


def new_run_folder(settings: RunSettings, config: dict[str, Any]) -> Path:
    """Make a folder for a run that begins.

    Args:
        settings: of the run.
        config: the whole resolved config, of which the folder's name holds a hash.

    Raises:
        InputError: the folder that the settings name holds another run.
    """
    if settings.folder:
        folder = Path(settings.folder)
        if is_run(folder):
            last = folder / "checkpoints" / "last.ckpt"
            go_on = f"go on with --ckpt_path {last}"
            fresh = "delete it, which came to no validation"
            raise InputError(
                f"run.folder is {settings.folder}, where a run is already: give another, or "
                f"{go_on if last.is_file() else fresh}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    digest = hashlib.sha256(yaml.safe_dump(config).encode()).hexdigest()[:8]
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        name = f"{stamp}-{digest}" + (f"-{attempt}" if attempt > 1 else "")
        folder = Path(settings.root) / settings.name / name
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
    raise FileExistsError(folder)


def record_command(folder: Path, sources: str) -> None:
    """Append the exact command, the versions and the state of the sources to command.txt."""
    lines = [
        f"# {time.strftime('%Y-%m-%d %H:%M:%S %z')}, in {os.getcwd()}",
        f"# phoneme-lightning {__version__}, python {sys.version.split()[0]}, {sources}",
        shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    ]
    with (folder / "command.txt").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def say_what_is_next(folder: Path) -> None:
    """Say what can be done with what a fit left in its folder."""
    say(f"all of this run: {folder}")
    best = folder / "checkpoints" / "best.ckpt"
    if best.is_file():
        say(f"score it: phoneme-cli test --ckpt_path {shlex.quote(str(best))}")
        last = shlex.quote(str(best.with_name("last.ckpt")))
        say(f"train on: phoneme-cli fit --ckpt_path {last}")
    else:
        say("no weights were saved: that comes with the first validation")


def log_to(folder: Path) -> None:
    """Write what is said from now on, and every warning, to the run's log.txt too."""
    for name in LOGGED:
        for old in [
            h for h in logging.getLogger(name).handlers if isinstance(h, logging.FileHandler)
        ]:
            logging.getLogger(name).removeHandler(old)
            old.close()
    handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.captureWarnings(True)
    for name in LOGGED:
        logging.getLogger(name).addHandler(handler)
