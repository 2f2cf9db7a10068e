"""What cannot be in a round file although each key alone may say it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.arms import Arm, arms, holds, shortest_fit
from phoneme_lightning.sweep.constraints import check_constraints
from phoneme_lightning.sweep.design import design
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.expressions import names_in, parse
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.round import Divergence, Round, Scientific
from phoneme_lightning.sweep.round_parser import suggest
from phoneme_lightning.sweep.spaces import Categorical, Int, Space
from phoneme_lightning.sweep.storage_url import check_url

__all__ = ["check_round"]

CALCULATED_FROM = ("trainer.max_steps", "trainer.val_check_interval")
"""Keys that every trial has, whatever the round file says."""

SEEDS = 2**32
"""As many seeds as numpy's generators take."""

OWN = {
    "seed_everything": "seeds",
    "run.keep_best": "training.keep",
    **{f"divergence.{field.name}": f"divergence.{field.name}" for field in fields(Divergence)},
}
"""Keys of phoneme-cli that a round file has keys of its own for."""

NOTICE = Duration("3m")
"""How long before its end a worker may be told to leave: worker.sbatch asks for two minutes, and
SLURM may be a minute early."""


def check_round(round: Round) -> None:
    """Refuse a round that cannot be designed.

    What the playbook objects to is not looked at here: `lint` does that.

    Raises:
        InputError: it names the key, the value and the fix.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", round.name):
        raise InputError(f"name is {round.name!r}: give letters, digits and . _ + - only")
    _check_numbers(round)
    for key, scientific in round.scientific.items():
        _check_scientific(key, scientific, round.sampler.kind)
    _check_roles(round)
    _check_length(round)
    _check_when(round)
    _check_derived(round)
    check_constraints(round.constraints)
    _check_points(round)


def _check_numbers(round: Round) -> None:
    least = {
        "budget.points": (round.budget.points, 1),
        "budget.threads": (round.budget.threads, 1),
        "training.steps": (round.training.steps, 1),
        "training.evaluate_every": (round.training.evaluate_every, 1),
        "objective.last": (round.objective.last, 1),
        "divergence.lost_gradients": (round.divergence.lost_gradients, 1),
        "pruning.warmup_steps": (round.pruning.warmup_steps, 0),
        "retry.attempts": (round.retry.attempts, 1),
        "sampler.seed": (round.sampler.seed, 0),
        "quick.points": (round.quick.points, 1),
        "quick.steps": (round.quick.steps, 1),
        "quick.evaluate_every": (round.quick.evaluate_every, 1),
        "executor.array": (round.executor.array, 1),
        "executor.gpus": (round.executor.gpus, 0),
    }
    if round.budget.parallel != "auto":
        least["budget.parallel"] = (round.budget.parallel, 1)
    if round.executor.cpus is not None:
        least["executor.cpus"] = (round.executor.cpus, 1)
    if round.divergence.chance_after is not None:
        least["divergence.chance_after"] = (round.divergence.chance_after, 1)
    for key, (value, lowest) in least.items():
        if value < lowest:
            raise InputError(f"{key} is {value}: give at least {lowest}")
    times = {
        "budget.trial_time": round.budget.trial_time,
        "budget.total_time": round.budget.total_time,
        "storage.beat": round.storage.beat,
        "executor.time": round.executor.time,
    }
    for key, time in times.items():
        if time is not None and time <= 0:
            raise InputError(f"{key} is {time}: give more than nothing")
    if round.executor.template is None and round.executor.time <= NOTICE:
        raise InputError(
            f"executor.time is {round.executor.time}: give more than {NOTICE}, since SLURM tells a "
            "worker to leave up to that long before its end; or an executor.template of your own "
            "with a shorter --signal"
        )
    for option in round.executor.options:
        if not option.startswith("-") or " " in option.partition("=")[0]:
            raise InputError(f"executor.options has {option!r}: write each as --name=value")
        if option.startswith(("--array", "-a")):
            raise InputError(f"executor.options has {option!r}: give it as executor.array")
    if not round.base:
        raise InputError("base is []: give a config file, such as configs/rnn.yaml")
    seeds = round.seeds
    if len(set(seeds)) < len(seeds) or not seeds or min(seeds) < 0 or max(seeds) >= SEEDS:
        raise InputError(f"seeds is {seeds}: give different whole numbers from 0 to {SEEDS - 1}")
    check_url(round.storage.url, "storage.url")
    if round.storage.grace <= round.storage.beat:
        raise InputError(
            f"storage.grace is {round.storage.grace}: give more than storage.beat, "
            f"which is {round.storage.beat}"
        )


def _check_scientific(key: str, scientific: Scientific, sampler: str) -> None:
    values, where = scientific.values, f"scientific.{key}"
    if (values is None) == (scientific.range is None):
        raise InputError(f"{where} has neither or both of values and range: give one of the two")
    if scientific.range is not None:
        if isinstance(scientific.range, Categorical):
            raise InputError(f"{where}.range.dist is categorical: write its choices as values")
        if scientific.buckets < 2:
            raise InputError(f"{where}.buckets is {scientific.buckets}: give at least 2")
        if isinstance(scientific.range, Int):
            there = scientific.range.high - scientific.range.low + 1
            if scientific.buckets > there:
                raise InputError(
                    f"{where}.buckets is {scientific.buckets}, and its range has {there} numbers: "
                    "give fewer, or values"
                )
        if "." not in key:
            raise InputError(f"{where} has a range: give a dotted key of phoneme-cli")
        if sampler != "halton":
            raise InputError(
                f"{where} has a range, and sampler.kind is {sampler}: give values, or halton"
            )
        return
    if not isinstance(values, list | Mapping) or not values:
        raise InputError(
            f"{where}.values is {values!r}: give a list, or a mapping from an arm's name to a value"
        )
    listed = list(values.values()) if isinstance(values, Mapping) else values
    for place, value in enumerate(listed):
        if isinstance(values, list) and value in listed[:place]:
            raise InputError(f"{where}.values has {value!r} twice: leave one out")
        if "." not in key and not (isinstance(values, Mapping) and isinstance(value, Mapping)):
            raise InputError(
                f"{where} has no dot, so it is no key of phoneme-cli: write values as a mapping "
                "from an arm's name to a mapping of dotted keys"
            )


def _roles(round: Round, arm: Arm) -> list[tuple[str, set[str]]]:
    """Give the keys of each role in an arm, whatever is drawn in it."""
    parts = [
        part
        for part in round.conditional
        if holds(replace(part, when=_of_arm(part.when, arm)), arm, arm.values)
    ]
    return [
        ("scientific", set(round.scientific)),
        ("nuisance", set(round.nuisance).union(*(part.nuisance for part in parts))),
        ("derived", set(round.derived).union(*(part.derived for part in parts))),
        ("fixed", set(flatten(round.fixed)).union(*(flatten(part.fixed) for part in parts))),
    ]


def _of_arm(when: Mapping[str, Any], arm: Arm) -> dict[str, Any]:
    return {key: one for key, one in when.items() if key == "arm" or key in arm.labels}


def _check_roles(round: Round) -> None:
    """Give each key one role in each arm, and none to what the round file has a key for."""
    for arm in arms(round):
        set_by_arm = flatten(arm.settings)
        roles = _roles(round, arm)
        for place, (role, keys) in enumerate(roles):
            for other, others in roles[:place]:
                for key in sorted(keys & others):
                    raise InputError(f"{key} is {other} and {role}: give it one role")
            for key in sorted(keys & set_by_arm.keys() if place else ()):
                raise InputError(f"{key} is {role}, and arm {arm.name} sets it: give it one role")
        set_too = [("scientific", set(set_by_arm)), ("overrides", set(flatten(round.overrides)))]
        for role, keys in (*roles, *set_too):
            for key in sorted(keys & OWN.keys()):
                raise InputError(f"{key} is {role}: leave it out, and give {OWN[key]}")


def _check_length(round: Round) -> None:
    steps, every = shortest_fit(round), round.training.evaluate_every
    if every > steps:
        raise InputError(
            f"training.evaluate_every is {every}: give at most the steps of the shortest fit, "
            f"{steps}, or nothing is measured in it"
        )


def _spaces(round: Round) -> Iterator[tuple[str, Space]]:
    for spaces in (round.nuisance, *(part.nuisance for part in round.conditional)):
        yield from spaces.items()


def _check_when(round: Round) -> None:
    all_arms = arms(round)
    known: dict[str, list[Any]] = {"arm": [arm.name for arm in all_arms]}
    for key, space in round.nuisance.items():
        if isinstance(space, Categorical):
            known[key] = list(space.choices)
    for arm in all_arms:
        for key, label in arm.labels.items():
            known.setdefault(key, []).extend([label, arm.settings.get(key, label)])
    for place, part in enumerate(round.conditional):
        where = f"conditional[{place}].when"
        if not part.when:
            raise InputError(f"{where} is empty: say where it holds, or move it out of conditional")
        for key, wanted in part.when.items():
            if key not in known:
                raise InputError(
                    f"{where}.{key} is neither scientific nor a categorical nuisance "
                    f"hyperparameter: {suggest(key, known)}"
                )
            several = isinstance(wanted, list) and wanted and wanted not in known[key]
            for value in wanted if several else [wanted]:
                if value not in known[key]:
                    names = list(dict.fromkeys(map(str, known[key])))
                    raise InputError(
                        f"{where}.{key} is {value!r}, which it never is: {suggest(value, names)}"
                    )
        for key, space in part.nuisance.items():
            if isinstance(space, Categorical):
                known.setdefault(key, []).extend(space.choices)


def _expressions(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, list | Mapping):
        for one in template.values() if isinstance(template, Mapping) else template:
            yield from _expressions(one)


def _check_derived(round: Round) -> None:
    derived = [(f"derived.{key}", key, one) for key, one in round.derived.items()]
    fixed = flatten(round.overrides) | flatten(round.fixed)
    for place, part in enumerate(round.conditional):
        fixed |= flatten(part.fixed)
        derived += [
            (f"conditional[{place}].derived.{key}", key, one) for key, one in part.derived.items()
        ]
    set_by_arms = {key for arm in arms(round) for key in flatten(arm.settings)}
    known = {*CALCULATED_FROM, *fixed, *set_by_arms, *round.scientific}
    known |= {key for key, _ in _spaces(round)} | {key for _, key, _ in derived}
    used: set[str] = set()
    for where, key, template in derived:
        if "." not in key:
            raise InputError(f"{where} has no dot: give a dotted key of phoneme-cli")
        for expression in _expressions(template):
            try:
                names = names_in(parse(expression))
            except InputError as error:
                raise InputError(f"{where}: {error}") from error
            for name in names:
                if name not in known:
                    raise InputError(
                        f"{where} is {expression!r}, but this round sets no {name}: "
                        f"{suggest(name, sorted(known))}"
                    )
            used |= set(names)
    for key, _ in _spaces(round):
        if "." not in key and key not in used:
            raise InputError(
                f"nuisance.{key} has no dot, so it is a variable, and no derived key uses it: "
                "write the dotted key of phoneme-cli, or a derived key that is made from it"
            )


def _check_points(round: Round) -> None:
    kind, points = round.sampler.kind, round.sampler.points
    if (kind == "list") != bool(points):
        raise InputError(f"sampler.kind is {kind}: sampler.points are given with list, and only so")
    if kind != "list":
        ranges = [one for one in round.scientific.values() if one.range is not None]
        if not ranges and not list(_spaces(round)) and round.budget.points > 1:
            raise InputError(
                f"budget.points is {round.budget.points}, but nothing is drawn, so all would be "
                "equal: give 1, a nuisance hyperparameter, or more seeds"
            )
        return
    if round.budget.points > len(points):
        raise InputError(
            f"budget.points is {round.budget.points}, but sampler.points has {len(points)}: "
            f"give at most {len(points)}"
        )
    spaces: dict[str, list[Space]] = {}
    for key, space in _spaces(round):
        spaces.setdefault(key, []).append(space)
    for place, point in enumerate(points):
        for key, value in point.items():
            where = f"sampler.points[{place}].{key}"
            if key not in spaces:
                raise InputError(f"{where} is no nuisance hyperparameter: {suggest(key, spaces)}")
            if not any(space.holds(value) for space in spaces[key]):
                raise InputError(f"{where} is {value!r}, outside its space: move it, or the bounds")
    design(round)
