"""How long a trial of an arm takes: from trials that have ended, else from a few steps."""

import json
import math
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.design import Row
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.launch import Job, Launcher, make_launcher
from phoneme_lightning.sweep.overrides import base_settings, overrides
from phoneme_lightning.sweep.records import read_records
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.yaml12 import dump_yaml
from phoneme_lightning.training.outcome import read_outcome

__all__ = ["known_times", "measure_times"]

WARMUP_STEPS = 3
MEASURED_STEPS = 9
MOST_SECONDS = 600.0
"""That a measurement may take before it counts as stuck."""


def known_times(folder: RoundFolder, round: Round) -> dict[str, tuple[float, str]]:
    """Give the seconds that a trial of each arm took, and on how many trials that was measured."""
    records = read_records(folder, round.objective, round.retry.attempts)
    took: dict[str, list[float]] = {}
    for record in records:
        if record.state == "completed" and record.attempts == 1 and not record.stopped_early:
            took.setdefault(record.arm, []).append(record.seconds)
    return {arm: (mean(each), f"{len(each)} ended trials") for arm, each in took.items()}


def measure_times(
    folder: RoundFolder,
    round: Round,
    rows: Mapping[str, Row],
    trainers: Mapping[str, Mapping[str, Any]],
    parallel: int,
) -> dict[str, tuple[float, str]]:
    """Time a few steps and a validation of each arm, with as many fits at once as the round has.

    Args:
        folder: of the round.
        round: the round.
        rows: the middle of each arm's space, by its name.
        trainers: the `trainer` section of each arm's trials.
        parallel: trials at once.
    """
    if not rows:
        return {}
    runs = list(rows) * math.ceil(parallel / len(rows))  # as full as the machine will be
    launcher = make_launcher("subprocess")
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(parallel) as pool:

        def time(at: int) -> float:
            name, run = runs[at], Path(scratch) / str(at)
            return _time(folder, round, rows[name], trainers[name], run, launcher)

        try:
            took = list(pool.map(time, range(len(runs))))
        finally:
            launcher.close()
    said = f"{WARMUP_STEPS + MEASURED_STEPS} steps and a validation, {parallel} fits at once"
    return {
        name: (mean(each for other, each in zip(runs, took, strict=True) if other == name), said)
        for name in rows
    }


def _time(
    folder: RoundFolder,
    round: Round,
    row: Row,
    trainer: Mapping[str, Any],
    run: Path,
    launcher: Launcher,
) -> float:
    """Make a few steps, and reckon from them the seconds of a whole trial."""
    steps = WARMUP_STEPS + MEASURED_STEPS
    times = run / "times.json"
    stopwatch = {
        "class_path": "phoneme_lightning.sweep.stopwatch.Stopwatch",
        "init_args": {"file": str(times), "warmup_steps": WARMUP_STEPS},
    }
    settings = overrides(round, row, base_settings(folder.base_configs()))
    short = {"max_steps": steps, "val_check_interval": steps, "callbacks": [stopwatch]}
    settings |= {
        "trainer": {**settings["trainer"], **short, "enable_progress_bar": False},
        "run": {**settings.get("run", {}), "folder": str(run / "fit")},
        "wandb": {"mode": "disabled"},
        "divergence": {"chance_after": None, "loss_above": None},
    }
    run.mkdir()
    (run / "overrides.yaml").write_text(dump_yaml(settings), encoding="utf-8")
    configs = [*folder.base_configs(), run / "overrides.yaml"]
    argv = ["phoneme-cli", "fit", *(f"--config={config.resolve()}" for config in configs)]
    log = run / "output.txt"
    handle = launcher.launch(Job(argv, log, Path.cwd(), round.budget.threads))
    handle.wait(MOST_SECONDS)
    outcome = read_outcome(run / "fit")
    if outcome is None or not times.is_file():
        last = (log.read_text(encoding="utf-8", errors="replace").splitlines() or ["silence"])[-1]
        raise InputError(
            f"arm {row.arm}: its first {steps} steps were to be timed, and did not end within "
            f"{MOST_SECONDS:.0f} s, or failed: {last}"
        )
    seen = json.loads(times.read_text(encoding="utf-8"))
    validations = math.ceil(trainer["max_steps"] / trainer["val_check_interval"])
    more_steps, more_validations = trainer["max_steps"] - steps, validations - 1
    more: float = more_steps * seen["step"] + more_validations * seen["validation"]
    return outcome.seconds + more
