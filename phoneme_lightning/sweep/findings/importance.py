"""Which hyperparameters decided how good trials were, and whether that is more than luck."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.leaderboard import short_names
from phoneme_lightning.sweep.records import TrialRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["Importances", "importance", "importances"]

FEWEST = 20
"""Completed points."""
DRAWS, MOST = 50, 200
"""Times that the points are drawn again, and how many points a draw has at most: of more the
intervals are a little too wide, which is the safe side."""
BETTER = 0.5
"""Share of trials that count as good. Optuna's own tenth is two trials of twenty, and their place
is luck: of simulated rounds in which one of four hyperparameters matters by 5 seed-sigma it named
another one in every second, the better half in none of 30."""
STABLE = 0.9
"""Share of the draws in which the same one must come first."""


@dataclass(frozen=True)
class Importances:
    """Shares of all importance, by hyperparameter, the most important first; `arm` is one too."""

    shares: Mapping[str, float]
    """Of all completed points; they sum to 1."""

    intervals: Mapping[str, tuple[float, float]]
    """95 % of the shares when points are drawn again."""

    first: Mapping[str, float]
    """Share of the draws in which it comes first."""

    points: int
    """Completed points."""


@lru_cache(maxsize=1)  # a finding, a page and W&B ask for the same
def importances(evidence: Evidence) -> Importances | None:
    """Measure by PED-ANOVA, on a study in memory, what sets the better half of points apart.

    A hyperparameter that only some arms have counts where it exists. Seeds of a point are averaged,
    and a bootstrap draws the points again.

    Returns:
        None where fewer than 20 points are completed, fewer than two hyperparameters varied, or
        all points are equally good.
    """
    points = _points(evidence)
    if len(points) < FEWEST:
        return None
    from optuna.trial import create_trial

    from phoneme_lightning.sweep.optuna_space import parameters, round_distributions

    distributions = round_distributions(evidence.round, evidence.arms())
    trials = []
    for same in points:
        values = parameters({"arm": same[0].arm, **same[0].values}, distributions)
        spaces = {key: distributions[key] for key in values}
        score = float(evidence.scores(same).mean())
        trials.append(create_trial(value=score, params=values, distributions=spaces))
    if len({trial.value for trial in trials}) < 2:
        return None
    shares = _evaluate(trials)
    if len(shares) < 2 or not sum(shares.values()):
        return None
    draw = np.random.default_rng(0)
    count = min(len(trials), MOST)
    drawn = [
        _evaluate([trials[place] for place in draw.integers(len(trials), size=count)])
        for _ in range(DRAWS)
    ]
    firsts = [max(one, key=one.__getitem__) for one in drawn]
    ends = {
        key: np.quantile([one.get(key, 0.0) for one in drawn], [0.025, 0.975]) for key in shares
    }
    return Importances(
        dict(sorted(shares.items(), key=lambda item: -item[1])),
        {key: (float(low), float(high)) for key, (low, high) in ends.items()},
        {key: firsts.count(key) / DRAWS for key in shares},
        len(points),
    )


def _points(evidence: Evidence) -> list[list[TrialRecord]]:
    """Give the completed trials of each point of each arm."""
    return [same for arm in evidence.arms() for same in evidence.by_point(evidence.completed(arm))]


def _extend(evidence: Evidence) -> str:
    wanted = max(FEWEST, 2 * evidence.round.budget.points)
    return f"phoneme-sweep extend {evidence.round.name} --points {wanted}"


def _evaluate(trials: "list[FrozenTrial]") -> dict[str, float]:
    """Give the share of each hyperparameter; more is better."""
    import optuna

    told = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # each study announces itself
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arms that a draw hardly has
            study = optuna.create_study(direction="maximize")
            study.add_trials(trials)
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BETTER)
            return optuna.importance.get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(told)


def importance(evidence: Evidence) -> list[Finding]:
    """Tell which hyperparameter mattered most for being in the better half, and how surely.

    Nothing is said where a round varied one thing only.
    """
    found = importances(evidence)
    if found is None:
        round = evidence.round
        varied = set(round.nuisance).union(*(part.nuisance for part in round.conditional))
        if len(varied) + bool(round.scientific) < 2 or len(_points(evidence)) >= FEWEST:
            return []
        sentence = f"Fewer than {FEWEST} completed points: too few to tell what mattered most."
        return [
            Finding("importance", "unknown", sentence, action=_extend(evidence), playbook="4.4")
        ]
    names = short_names(found.shares)
    if "arm" in names:
        names["arm"] = "the choice of arm"
    first = next(iter(found.shares))
    share, often = found.shares[first], found.first[first]
    numbers = {
        "points": found.points,
        **{
            name: {
                "share": found.shares[key],
                "interval": found.intervals[key],
                "first": found.first[key],
            }
            for key, name in names.items()
        },
    }
    low, high = found.intervals[first]
    action: str | None = None
    if often >= STABLE:
        sentence = (
            f"Of all that varied, {names[first]} mattered most: {share:.0%} ({low:.0%} to "
            f"{high:.0%}) of what tells the better half of the settings from the rest lies in it."
        )
    else:
        sentence = (
            f"What mattered most cannot be told: {names[first]} leads, but when the settings are "
            f"drawn again it does so only {often:.0%} of the time."
        )
        action = _extend(evidence)
    key = None if first == "arm" else first
    figure, row = "importance", "4.4"
    return [Finding("importance", "info", sentence, numbers, figure, action, None, key, row)]
