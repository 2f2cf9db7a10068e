"""The round that confirms: a candidate and a baseline, one point each, with fresh paired seeds."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.check import resolve
from phoneme_lightning.sweep.decisions.settings import (
    differing,
    training_settings,
)
from phoneme_lightning.sweep.decisions.side import RoundSide, find_side
from phoneme_lightning.sweep.design import append_design, design, read_design
from phoneme_lightning.sweep.drafts.carry import lengthen, scale_interval
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.folder import RoundFolder, write_atomically
from phoneme_lightning.sweep.keys import LENGTH
from phoneme_lightning.sweep.opening import load_round, open_round
from phoneme_lightning.sweep.overrides import nested
from phoneme_lightning.sweep.round import (
    Budget,
    Goal,
    Pruning,
    Round,
    Sampler,
    Scientific,
    Training,
)
from phoneme_lightning.sweep.round_file import dump_round, read_round
from phoneme_lightning.sweep.running import check_round

__all__ = ["ARMS", "STARTING", "add_seeds", "begin", "make_round"]

ARMS = ("candidate", "baseline")
"""Names of the arms."""

STARTING = "the starting config"
"""What the baseline is called where none was named."""

SIDE = "side"
EVERY = "trainer.val_check_interval"


def make_round(
    candidate: RoundSide, baseline: str | None, name: str, seeds: int, steps: int | None, root: Path
) -> Round:
    """Make the round in which a candidate meets a baseline.

    What the candidate's round has in its base configs and overrides, both have; an arm sets what
    sets it apart from that. A config file trains as long as the candidate, and both train for
    `steps`, with their schedules carried over.

    Args:
        candidate: one trial.
        baseline: another one, or a config file; nothing but base configs and overrides, if None.
        name: of the round.
        seeds: pairs of trials.
        steps: of each trial; the candidate's, if None.
        root: folder of all rounds.

    Raises:
        InputError: the baseline is neither a trial nor a file, or the seeds are too few.
    """
    if seeds < 2:
        raise InputError(f"--seeds is {seeds}: give at least 2, since one has no interval")
    source, configs = candidate.round, candidate.folder.base_configs()
    used = {row.seed for row in read_design(candidate.folder.design)}
    common = _settings(resolve(configs, nested(source.overrides)), source)
    ours = {**candidate.settings()}
    told, theirs = STARTING, common
    if baseline is not None and Path(baseline).is_file():
        config = training_settings(resolve([Path(baseline)], {}))
        told, theirs = baseline, _carried(config, ours[LENGTH])
    elif baseline is not None and Path(baseline).suffix == ".yaml":
        raise InputError(f"--baseline is {baseline}: there is no such file, give one of configs/")
    elif baseline is not None:
        found = find_side(_in_round(baseline, candidate), root, candidate.objective)
        used |= {row.seed for row in read_design(found.folder.design)}
        told, theirs = baseline, {**found.settings()}
    if steps is not None:
        ours, theirs = _carried(ours, steps), _carried(theirs, steps)
    length = ours[LENGTH]
    every = scale_interval(source.training.evaluate_every, source.training.steps, length)
    common = {**common, LENGTH: length}
    arms = {
        arm: _apart(settings, common) for arm, settings in zip(ARMS, (ours, theirs), strict=True)
    }
    trial = candidate.trials[0].trial
    if arms[ARMS[0]] == arms[ARMS[1]]:
        raise InputError(f"{trial} and {told} are set alike: there is nothing to confirm")
    first = max(used) + 1
    return replace(
        source,
        name=name,
        phase="confirm",
        goal=Goal(f"Is {trial} better than {told}?", "try a change", source.name),
        base=[str(config) for config in configs],
        budget=_budget(source, length),
        training=Training(length, every, keep=1),
        scientific={SIDE: Scientific(values=arms)},
        nuisance={},
        derived={},
        conditional=[],
        fixed={},
        constraints=[],
        sampler=Sampler(),
        pruning=Pruning(),
        seeds=list(range(first, first + seeds)),
    )


def _budget(source: Round, steps: int) -> Budget:
    """Give a source's budget, with more time for a trial that makes more steps."""
    time, longer = source.budget.trial_time, max(1.0, steps / source.training.steps)
    if time is not None:
        time = Duration(f"{math.ceil(time * longer)}s")
    return replace(source.budget, points=1, trial_time=time, total_time=None)


def _settings(config: Mapping[str, Any], round: Round) -> dict[str, Any]:
    return {
        **training_settings(config),
        LENGTH: round.training.steps,
        EVERY: round.training.evaluate_every,
    }


def _in_round(baseline: str, candidate: RoundSide) -> str:
    """A trial or an arm alone is one of the candidate's round."""
    rows = read_design(candidate.folder.design)
    own = any(baseline in (row.trial, row.arm) for row in rows)
    return f"{candidate.folder.path}:{baseline}" if own else baseline


def _carried(settings: Mapping[str, Any], steps: int) -> dict[str, Any]:
    before = settings[LENGTH]
    changes = lengthen(settings, before, steps)[0] if before != steps else {}
    return {**settings, **changes, LENGTH: steps}


def _apart(settings: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Give what sets settings apart; another class comes with all its init_args."""
    keys = {key for key in differing(settings, common) if key in settings and key != EVERY}
    for key in [key for key in keys if key.endswith(".class_path")]:
        inside = key.removesuffix("class_path") + "init_args."
        keys |= {one for one in settings if one.startswith(inside)}
    return {key: value for key, value in settings.items() if key in keys}


def begin(wanted: Round, root: Path) -> tuple[RoundFolder, Round]:
    """Open the round, or go on with it; seeds that were added to it since stay.

    Raises:
        InputError: another confirmation has its name.
    """
    folder = RoundFolder(root / wanted.name)
    if folder.round.is_file():
        known = load_round(folder)
        began = read_round(folder.source)
        if replace(began, budget=wanted.budget, executor=wanted.executor) != wanted:
            raise InputError(
                f"{folder.path} began with other settings ({known.goal.question} "
                f"--seeds {len(began.seeds)}): give these, or another --name"
            )
        return folder, known
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / f"{wanted.name}.yaml"
        file.write_text(dump_round(wanted), encoding="utf-8")
        return open_round(file, check_round, root=root)


def add_seeds(folder: RoundFolder, round: Round, count: int) -> Round:
    """Give a round further seeds; those that it has stay as they are.

    Args:
        folder: of the round.
        round: what it is.
        count: further seeds.
    """
    first = max(round.seeds) + 1
    longer = replace(round, seeds=[*round.seeds, *range(first, first + count)])
    with FileLock(folder.path.parent / f".{folder.name}.lock"):
        there = {row.trial for row in read_design(folder.design)}
        append_design(folder.design, [row for row in design(longer) if row.trial not in there])
        write_atomically(folder.round, dump_round(longer))
    return longer
