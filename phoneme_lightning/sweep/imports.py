"""Fits that were run one by one become the trials of a round."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.design import Row, trial_name, write_design
from phoneme_lightning.sweep.folder import RoundFolder, write_atomically
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.round import Budget, Goal, Round, Sampler, Training
from phoneme_lightning.sweep.round_file import dump_round
from phoneme_lightning.sweep.spaces import Categorical
from phoneme_lightning.sweep.yaml12 import dump_yaml
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import Outcome, read_outcome, write_outcome

__all__ = ["import_runs"]

SETTINGS = ("seed_everything", "model", "data", "trainer")
NOT_SETTINGS = ("run.", "wandb.", "divergence.", "resolved.", "seed_everything", "data.seed")


def import_runs(source: Path, name: str, root: Path) -> tuple[RoundFolder, list[str]]:
    """Make a round of all finished runs under a folder; what they differ in are its values.

    Args:
        source: folder with runs somewhere in it.
        name: of the round.
        root: folder of all rounds.

    Returns:
        The round's folder, and a line for each run that was left out.

    Raises:
        InputError: there are no finished runs, or there is such a round already.
    """
    whole = RoundFolder(root / name)
    if whole.path.exists():
        raise InputError(f"--name is {name}, and {whole.path} is there already: give another")
    found, left_out = [], []
    for config in sorted(source.rglob("config.yaml")):
        run = config.parent
        outcome = read_outcome(run) or _infer_outcome(run)
        if outcome is None:
            left_out.append(f"{run}: its fit did not end")
        else:
            found.append((run, yaml.safe_load(config.read_text(encoding="utf-8")), outcome))
    if not found:
        raise InputError(f"no finished run under {source}: give the folder that holds runs")
    root.mkdir(parents=True, exist_ok=True)
    folder = RoundFolder(tempfile.mkdtemp(dir=root, prefix=f".{name}."))
    folder.path.chmod(0o755)
    flat = [flatten(config) for _, config, _ in found]
    keys = sorted({key for settings in flat for key in settings})
    varied = [
        key
        for key in keys
        if not key.startswith(NOT_SETTINGS) and any(s.get(key) != flat[0].get(key) for s in flat)
    ]
    points: list[dict[str, Any]] = []
    rows: list[Row] = []
    for (run, config, outcome), told in zip(found, flat, strict=True):
        values = {key: told[key] for key in varied if key in told}
        if values not in points:
            points.append(values)
        point, seed = points.index(values), int(config.get("seed_everything") or 0)
        row = Row(trial_name(point, "all", seed), "all", point, seed, values)
        if row in rows:
            left_out.append(f"{run}: its settings and seed are those of another run")
            continue
        rows.append(row)
        _copy_run(run, folder.attempt(row.trial, 1), config, outcome)
    # A key that another class of net does not have stays in the design alone.
    shared = [key for key in varied if all(key in point for point in points)]
    first = found[0][1]
    folder.configs.mkdir()
    base = {key: first[key] for key in SETTINGS}
    (folder.configs / "0-first.yaml").write_text(dump_yaml(base), "utf-8")
    write_design(folder.design, rows)
    imported = Round(
        name=name,
        goal=Goal(question=f"What did the fits under {source} reach?"),
        base=[str(found[0][0] / "config.yaml")],
        budget=Budget(points=len(points)),
        training=Training(
            steps=max(outcome.step for _, _, outcome in found),
            evaluate_every=int(first["trainer"].get("val_check_interval") or 1),
        ),
        nuisance={key: Categorical(_distinct(points, key)) for key in shared},
        sampler=Sampler(
            kind="list", points=[{key: point[key] for key in shared} for point in points]
        ),
        seeds=list(dict.fromkeys(row.seed for row in rows)),
        caveats=["fits that were run one by one, not by a design"],
    )
    folder.settle()
    write_atomically(folder.source, dump_round(imported))
    write_atomically(folder.round, dump_round(imported))
    folder.path.rename(whole.path)
    return whole, left_out


def _copy_run(run: Path, into: Path, config: dict[str, Any], outcome: Outcome) -> None:
    into.parent.mkdir(parents=True)
    shutil.copytree(run, into, ignore=shutil.ignore_patterns("wandb", "last.ckpt"))
    write_outcome(into, outcome)
    settings = {key: config[key] for key in SETTINGS}
    (into / "overrides.yaml").write_text(dump_yaml(settings), "utf-8")


def _distinct(points: list[dict[str, Any]], key: str) -> list[Any]:
    choices: list[Any] = []
    for point in points:
        if point[key] not in choices:
            choices.append(point[key])
    return choices


def _infer_outcome(run: Path) -> Outcome | None:
    """Say how a fit ended that was run before fits wrote outcomes: with its last validation."""
    rows = read_metrics(run / "metrics.csv")
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    step = int(max((row["step"] for row in rows if "val/loss" in row), default=0))
    steps = config["trainer"].get("max_steps") or -1
    if not step or step < steps:
        return None
    return Outcome("completed", step=step)
