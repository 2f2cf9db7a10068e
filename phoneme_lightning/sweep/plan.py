"""`phoneme-sweep plan`: what a round would train, and how long that takes on this machine."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from phoneme_lightning.sweep.check import Checked, check_points, probe
from phoneme_lightning.sweep.constraints import violated
from phoneme_lightning.sweep.design import Arm, active_spaces, arms, read_design
from phoneme_lightning.sweep.folder import ROOT, RoundFolder
from phoneme_lightning.sweep.machine import trials_at_once
from phoneme_lightning.sweep.opening import open_round
from phoneme_lightning.sweep.progress import clock
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.spaces import KINDS, Categorical, Space
from phoneme_lightning.sweep.timing import known_times, measure_times

__all__ = ["ArmPlan", "Plan", "describe", "make_plan", "plan", "show"]


@dataclass(frozen=True)
class ArmPlan:
    """What an arm would train."""

    arm: str
    """Its name."""

    fits: int
    """Trials that train: points times seeds, but for those that a constraint forbids."""

    forbidden: int
    """Trials that a constraint forbids; they train nothing."""

    steps: int
    """Optimizer steps of a trial."""

    parameters: int
    """Weights of the net, in the middle of the arm's space."""

    spaces: Mapping[str, Space]
    """What is tuned, by key."""

    seconds: float
    """That a trial takes."""

    measured: str
    """What the seconds were measured on."""


@dataclass(frozen=True)
class Plan:
    """What a round would train."""

    round: Round
    """The round."""

    arms: list[ArmPlan]
    """Its arms."""

    parallel: int
    """Trials at once."""

    @property
    def fits(self) -> int:
        """Trials in all."""
        return sum(arm.fits for arm in self.arms)

    @property
    def seconds(self) -> float:
        """How long all of them take on this machine, side by side."""
        at_once = max(1, min(self.parallel, self.fits))
        return sum(arm.fits * arm.seconds for arm in self.arms) / at_once


def plan(file: Path, quick: bool = False, root: Path = ROOT) -> None:
    """Print what a round would train and how long that takes; train nothing but a few steps.

    Args:
        file: the round file, or the folder of a round that has begun.
        quick: plan the demonstration.
        root: folder of all rounds, where trials that have ended tell the time.

    Raises:
        InputError: phoneme-cli would refuse a trial; it names the trial and the key.
    """
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder, round = open_round(file, lambda *_: None, quick=quick, root=Path(scratch))
        with console.status("parsing every point, then timing a few steps of each arm"):
            began = folder if folder.path == file else RoundFolder(root / round.name)
            made = make_plan(folder, round, began)
    show(made, console)


def make_plan(folder: RoundFolder, round: Round, ended: RoundFolder | None = None) -> Plan:
    """Parse every point, and time the arms: on trials that have ended, else on a few steps.

    Args:
        folder: of the round, opened.
        round: the round.
        ended: folder of the same round with trials that have ended, if there is one.

    Raises:
        InputError: phoneme-cli would refuse a trial, or the steps could not be made.
    """
    rows = {arm.name: probe(round, arm) for arm in arms(round)}
    designed = read_design(folder.design)
    checked = check_points(folder, round, [*rows.values(), *designed])
    forbidden = Counter(row.arm for row in designed if _is_forbidden(round, checked[row.trial]))
    trials = Counter(row.arm for row in designed)
    if round.phase == "exploit":  # its points are proposed one by one
        trials["all"] = round.budget.points
    parallel = trials_at_once(round)
    known = known_times(ended, round) if ended and ended.design.is_file() else {}
    trainers = {name: checked[row.trial].config["trainer"] for name, row in rows.items()}
    unknown = {name: row for name, row in rows.items() if name not in known}
    known |= measure_times(folder, round, unknown, trainers, parallel)
    planned = [
        ArmPlan(
            arm=name,
            spaces=_spaces(round, arm, row.values),
            parameters=checked[row.trial].parameters,
            steps=trainers[name]["max_steps"],
            fits=trials[name] - forbidden[name],
            forbidden=forbidden[name],
            seconds=known[name][0],
            measured=known[name][1],
        )
        for arm, (name, row) in zip(arms(round), rows.items(), strict=True)
    ]
    return Plan(round, planned, parallel)


def _is_forbidden(round: Round, checked: Checked) -> bool:
    return violated(round.constraints, checked.config, checked.parameters) is not None


def _spaces(round: Round, arm: Arm, values: Mapping[str, Any]) -> dict[str, Space]:
    ranges = {key: bucket.space for key, bucket in arm.ranges.items()}
    return ranges | active_spaces(round, arm, values)


def show(plan: Plan, console: Console) -> None:
    """Print a plan.

    Args:
        plan: what to print.
        console: where to.
    """
    round = plan.round
    stamp = "" if round.evidence else "  NOT EVIDENCE: cut by --quick"
    table = Table(title=f"{round.name}: {round.goal.question}{stamp}", title_justify="left")
    for column in ("arm", "tuned", "weights", "steps", "fits", "a fit"):
        table.add_column(column, justify="left" if column in ("arm", "tuned") else "right")
    for arm in plan.arms:
        keys = _shorten(arm.spaces)
        tuned = "\n".join(f"{keys[key]}: {describe(space)}" for key, space in arm.spaces.items())
        weights, seconds = f"{arm.parameters / 1e6:.2f} M", f"{arm.seconds:.0f} s"
        table.add_row(arm.arm, tuned, weights, str(arm.steps), str(arm.fits), seconds)
    console.print(table)
    forbidden = sum(arm.forbidden for arm in plan.arms)
    seeds, trials = len(round.seeds), plan.fits + forbidden
    console.print(
        f"arms {len(plan.arms)} x points {trials // len(plan.arms) // seeds} x seeds {seeds} = "
        f"{trials} fits; {plan.parallel} at once on this machine: about {clock(plan.seconds)}",
        highlight=False,
    )
    for arm in plan.arms:
        if arm.forbidden:
            console.print(
                f"constraints forbid {arm.forbidden} fits of {arm.arm}, which train nothing",
                highlight=False,
            )
    for measured in dict.fromkeys(arm.measured for arm in plan.arms):
        arms_so = ", ".join(arm.arm for arm in plan.arms if arm.measured == measured)
        console.print(f"{arms_so}: timed on {measured}", highlight=False)
    if round.budget.total_time and plan.seconds > round.budget.total_time:
        console.print(f"that is more than budget.total_time, {round.budget.total_time}")
    for arm in plan.arms:
        limit = round.budget.trial_time
        if limit and arm.seconds > limit:
            console.print(f"a fit of {arm.arm} takes longer than budget.trial_time, {limit}")


def _shorten(keys: Iterable[str]) -> dict[str, str]:
    """Give the last part of each dotted key, where no other key ends so."""
    ends = [key.rsplit(".", 1)[-1] for key in keys]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}


def describe(space: Space) -> str:
    """Say in a few words what a space holds."""
    if isinstance(space, Categorical):
        return " | ".join(map(str, space.choices))
    kind = next(name for name, known in KINDS.items() if isinstance(space, known))
    return f"{space.low:g} to {space.high:g} ({kind})"
