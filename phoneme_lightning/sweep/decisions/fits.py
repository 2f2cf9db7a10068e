"""A side of a comparison that is no round: fits run one by one, or nets taken together."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.settings import differing, training_settings
from phoneme_lightning.sweep.decisions.side import Side
from phoneme_lightning.sweep.records import Measured, TrialRecord, measure
from phoneme_lightning.sweep.round import Objective
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import Outcome, read_outcome

__all__ = ["FitsSide", "check_alike", "find_fits", "fit_folders", "read_fit"]

FIT, SCORED = "config.yaml", "validation.json"


@dataclass(frozen=True)
class FitsSide(Side):
    """Fits that differ in their seed alone, or what was scored without a fit, as an ensemble is."""

    def settings(self) -> Mapping[str, Any] | None:
        """Give what the first was trained with, by dotted key; None for what was not trained."""
        folder = self.trials[0].folder
        return _settings(folder) if folder else None


def find_fits(name: str, objective: Objective | None = None) -> FitsSide | None:
    """Find fits that are to be compared.

    Args:
        name: a run's folder, or a folder that holds runs of several seeds.
        objective: what to measure by; the best frame accuracy, if None.

    Returns:
        None where there is no run, or it is a round's.

    Raises:
        InputError: one of the fits has not completed, or two differ in more than their seed.
    """
    objective = objective or Objective()
    folders = fit_folders(Path(name))
    if not folders:
        return None
    fits = [read_fit(folder, objective) for folder in folders]
    check_alike(folders, fits)
    return FitsSide(name, Path(name), fits, fits, objective)


def fit_folders(path: Path) -> list[Path]:
    """Give the folders of runs at a path: it itself, or those in it; none of a round's."""
    if any((place / "round.yaml").is_file() for place in (path, *path.resolve().parents)):
        return []
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [path] if _is_scored(path) else [one for one in inside if _is_scored(one)]


def read_fit(folder: Path, objective: Objective) -> TrialRecord:
    """Read a fit as a trial; what is no fit is measured by its validation.json.

    Args:
        folder: of the run.
        objective: what to measure.

    Raises:
        InputError: it has not completed, or was never validated.
    """
    is_fit, config = (folder / FIT).is_file(), _read(folder / FIT)
    outcome = read_outcome(folder) if is_fit else Outcome("completed")
    if outcome is None or outcome.state != "completed":
        state = f"ended as {outcome.state}" if outcome else "has not ended"
        raise InputError(f"{folder}: its fit {state}: give one that has completed")
    if is_fit:
        measured = measure(read_metrics(folder / "metrics.csv"), objective)
    else:
        value = _read(folder / SCORED).get(objective.metric)
        measured = None if value is None else Measured(value, 0, value, value)
    if measured is None:
        raise InputError(f"{folder} has no {objective.metric}: it was never validated by it")
    seed = re.search(r"s(\d+)$", folder.resolve().name)
    return TrialRecord(
        trial=folder.resolve().name,
        arm="",
        point=0,
        seed=int(config["seed_everything"] if is_fit else seed[1] if seed else 0),
        values={},
        state="completed",
        attempts=_times_begun(folder) if is_fit else 0,
        folder=folder,
        measured=measured,
        step=outcome.step,
        seconds=outcome.seconds,
        parameters=outcome.parameters or None,
        environment=_read(folder / "environment.json"),
    )


def check_alike(folders: list[Path], fits: list[TrialRecord]) -> None:
    """Refuse fits that differ in more than their seed.

    Args:
        folders: of the runs.
        fits: each as `read_fit` gives it.

    Raises:
        InputError: it names the first two.
    """
    seeds: dict[int, Path] = {}
    first = _settings(folders[0])
    for folder, fit in zip(folders, fits, strict=True):
        apart = differing(first or {}, _settings(folder) or {})
        if apart:
            why = f"differ in {next(iter(apart))}"
        elif fit.seed in seeds:
            why = f"have the same seed, {fit.seed}"
        else:
            seeds[fit.seed] = folder
            continue
        other = folders[0] if apart else seeds[fit.seed]
        raise InputError(
            f"{other} and {folder} {why}: give one of them, or a folder of runs that differ in "
            "their seed alone"
        )


def _is_scored(folder: Path) -> bool:
    return (folder / FIT).is_file() or (folder / SCORED).is_file()


def _read(file: Path) -> dict[str, Any]:
    """Read a JSON or a YAML file; nothing where it is not there."""
    if not file.is_file():
        return {}
    text = file.read_text(encoding="utf-8")
    return dict(json.loads(text) if file.suffix == ".json" else yaml.safe_load(text))


def _settings(folder: Path) -> dict[str, Any] | None:
    return training_settings(_read(folder / FIT)) if (folder / FIT).is_file() else None


def _times_begun(folder: Path) -> int:
    """Count the commands that trained it: what was resumed has no time of its own."""
    file = folder / "command.txt"
    commands = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return max(1, sum(line.startswith("phoneme-cli fit ") for line in commands))
