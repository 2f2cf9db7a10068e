"""A round's trials as Optuna's: their values and distributions, one a key for the whole study."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from phoneme_lightning.sweep.design import Row
from phoneme_lightning.sweep.ending import CONSTRAINT, Ending
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.spaces import Categorical, Int, Log, Space, Uniform

__all__ = ["distribution", "parameters", "round_distributions", "study_trial", "told"]


def told(value: Any) -> bool | int | float | str | None:
    """Give a choice as a study can hold it: what is no scalar goes by its text."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def distribution(spaces: Sequence[Space]) -> BaseDistribution:
    """Give the distribution that covers some spaces of one key.

    A study has one distribution a key: samplers drop a key whose distributions differ, and a
    database refuses it.

    Args:
        spaces: at least one; with a range that differs by arm there are several. Either all are
            choices or none is.
    """
    choices = [space for space in spaces if isinstance(space, Categorical)]
    if choices:
        every = [told(choice) for space in choices for choice in space.choices]
        return CategoricalDistribution(list(dict.fromkeys(every)))
    ranges = [space for space in spaces if isinstance(space, Log | Uniform | Int)]
    low, high = min(space.low for space in ranges), max(space.high for space in ranges)
    log = all(isinstance(space, Log) or (isinstance(space, Int) and space.log) for space in ranges)
    if all(isinstance(space, Int) for space in ranges):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def round_distributions(round: Round, arms: Sequence[str]) -> dict[str, BaseDistribution]:
    """Give the distribution of each key that a round draws, and of `arm` where it has several.

    Args:
        round: what is drawn.
        arms: names of its arms.
    """
    spaces = {key: [space] for key, space in round.nuisance.items()}
    for condition in round.conditional:
        for key, space in condition.nuisance.items():
            spaces.setdefault(key, []).append(space)
    for key, scientific in round.scientific.items():
        if scientific.range is not None:
            spaces.setdefault(key, []).append(scientific.range)
    found: dict[str, BaseDistribution] = {}
    if len(arms) > 1:
        found["arm"] = CategoricalDistribution(list(arms))
    for key, several in spaces.items():
        if len({isinstance(space, Categorical) for space in several}) == 1:
            found[key] = distribution(several)
    return found


def parameters(
    values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """Give what a study shows of a trial's values: those that it has a distribution for.

    A list of points may name keys that the round does not draw, and values beyond a range.
    """
    found = {}
    for key, space in distributions.items():
        if key not in values:
            continue
        value = told(values[key])
        try:
            if space._contains(space.to_internal_repr(value)):
                found[key] = value
        except (TypeError, ValueError):  # no number, or no such choice
            continue
    return found


def study_trial(
    row: Row,
    order: int,
    distributions: Mapping[str, BaseDistribution],
    attempt: int,
    ending: Ending | None = None,
) -> FrozenTrial:
    """Make an attempt at a trial, for a study to add.

    Args:
        row: the trial.
        order: its place in the queue.
        distributions: of the round.
        attempt: which one, from 1.
        ending: how it ended; None for one that waits.
    """
    params = parameters({"arm": row.arm, **row.values}, distributions)
    identity = {"trial": row.trial, "arm": row.arm, "point": row.point, "seed": row.seed}
    return create_trial(
        state=ending.state if ending else TrialState.WAITING,
        value=ending.value if ending else None,
        params=params,
        distributions={key: distributions[key] for key in params},
        user_attrs=identity
        | {"order": order, "attempt": attempt}
        | (ending.attrs if ending else {}),
        constraints={CONSTRAINT: float(ending is not None and ending.label == "infeasible")},
    )
