"""What an exploit round knows before its first trial: the trials of older rounds."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.design import Row, active_spaces, arms, lock_design
from phoneme_lightning.sweep.folder import RoundFolder, find_round
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.overrides import base_settings, leaves, overrides
from phoneme_lightning.sweep.records import TrialRecord, read_records
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_file import read_round
from phoneme_lightning.sweep.spaces import Space

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from phoneme_lightning.sweep.ledger import Ledger

__all__ = ["fill", "find_sources", "learn"]


ASIDE = ("run.", "wandb.", "trainer.val_check_interval", "seed_everything")


class _LeftOutError(Exception):
    """An older trial is no trial of this round's space; why."""


def fill(round: Round, choose: Callable[[str, Space], Any]) -> dict[str, Any]:
    """Choose a value for each hyperparameter of a point; those that others hang on come first.

    Args:
        round: with one arm.
        choose: gives the value of a key that its space holds.
    """
    (arm,) = arms(round)
    conditions = {key for part in round.conditional for key in part.when}
    values: dict[str, Any] = {}
    while unset := {
        key: space for key, space in active_spaces(round, arm, values).items() if key not in values
    }:
        for key in [key for key in unset if key in conditions] or list(unset):
            values[key] = choose(key, unset[key])
    return values


def learn(ledger: "Ledger", round: Round, folder: RoundFolder) -> list[str]:
    """Tell an exploit round's study what the rounds of `sampler.learn_from` found.

    Told is every completed or infeasible trial that would be one of this round's own: what this
    round tunes lies inside its bounds, and what was scientific there and is none of this round's
    hyperparameters has this round's value. What else the older round tuned is passed over. An
    infeasible trial has the worst feasible value and violates a constraint. Trials so told carry
    the user attribute `imported`, the name of their round; none is told twice.

    Args:
        ledger: of the round.
        round: of phase exploit.
        folder: of the round; the older rounds' lie beside it.

    Returns:
        A line an older round: how many of its trials are of use, and why the others are not.

    Raises:
        InputError: a round has not been run.
    """
    with lock_design(folder.design):  # one driver tells, the next finds it told
        sources = find_sources(round, folder.path.parent)
        return [_learn_from(ledger, round, folder, source) for source in sources]


def find_sources(round: Round, root: Path) -> list[RoundFolder]:
    """Find the rounds of `sampler.learn_from`; a demonstration learns from demonstrations.

    Args:
        round: of phase exploit.
        root: folder of all rounds.

    Raises:
        InputError: one has not been run.
    """
    quick = "" if round.evidence else "-quick"
    found = []
    for name in round.sampler.learn_from:
        try:
            found.append(find_round(name + quick, root))
        except InputError as error:
            first = f"phoneme-sweep run sweeps/{name}.yaml" + (" --quick" if quick else "")
            raise InputError(f"sampler.learn_from: {error}; run it first: {first}") from error
    return found


def _learn_from(ledger: "Ledger", round: Round, folder: RoundFolder, source: RoundFolder) -> str:
    older, base = read_round(source.round), base_settings(folder.base_configs())
    records = read_records(source, round.objective, older.retry.attempts)
    known = {
        trial.user_attrs["imported_trial"]
        for trial in ledger.study.get_trials(deepcopy=False)
        if trial.user_attrs.get("imported") == source.name
    }
    found: list[tuple[TrialRecord, dict[str, Any]]] = []
    left_out = Counter[str]()
    for record in records:
        try:
            found.append((record, _translate(record, older, round, base)))
        except _LeftOutError as why:
            left_out[str(why)] += 1
    for trial in _as_trials(found, source.name, round):
        if trial.user_attrs["imported_trial"] not in known:
            ledger.study.add_trial(trial)
    reasons = ", ".join(f"{count} {why}" for why, count in left_out.items())
    line = f"{len(found)} of {len(records)} trials of {source.name} are inside this round's space"
    line += f" ({reasons})" if reasons else ""
    differences = _differences(older, base_settings(source.base_configs()), round, base)
    if found and differences:
        line += f"; they show where to begin, not what to expect: {', '.join(differences)}"
    return line


def _as_trials(
    found: Sequence[tuple[TrialRecord, dict[str, Any]]], source: str, round: Round
) -> "Iterator[FrozenTrial]":
    """Give older trials as a study takes them, each with its values of this round's keys."""
    from optuna.trial import create_trial

    from phoneme_lightning.sweep.ending import CONSTRAINT, NOTHING_MEASURED, worst
    from phoneme_lightning.sweep.optuna_space import parameters, round_distributions

    feasible = {
        record.trial: record.measured.by(round.objective.selection)
        for record, _ in found
        if record.state == "completed" and record.measured
    }
    bad = worst(feasible.values(), round.objective)
    if bad is None:
        bad = NOTHING_MEASURED[round.objective.mode]
    distributions = round_distributions(round, ["all"])
    for record, values in found:
        params = parameters(values, distributions)
        yield create_trial(
            value=feasible.get(record.trial, bad),
            params=params,
            distributions={key: distributions[key] for key in params},
            user_attrs={"imported": source, "imported_trial": record.trial},
            constraints={CONSTRAINT: float(record.trial not in feasible)},
        )


def _differences(
    older: Round, their_base: Mapping[str, Any], round: Round, base: Mapping[str, Any]
) -> list[str]:
    """Say what else was otherwise than here in an older round: its net, its length, its corpus."""
    theirs, mine = (_common(one, its) for one, its in ((older, their_base), (round, base)))
    tuned = {key for one in (older, round) for key in _tuned(one)}
    return [
        f"{key} was {theirs[key]}, here {mine[key]}"
        for key in sorted(theirs.keys() & mine.keys() - tuned)
        if theirs[key] != mine[key]
    ]


def _common(round: Round, base: Mapping[str, Any]) -> dict[str, Any]:
    """Give what all trials of a round have in common, by key."""
    settings = {**flatten(base), **flatten(round.overrides), **flatten(round.fixed)}
    settings["trainer.max_steps"] = round.training.steps
    return {key: value for key, value in settings.items() if not key.startswith(ASIDE)}


def _tuned(round: Round) -> set[str]:
    conditional = [part.nuisance for part in round.conditional]
    arms_keys = [flatten(arm.settings) for arm in arms(round)]
    return {key for keys in (round.nuisance, *conditional, *arms_keys) for key in keys}


def _translate(
    record: TrialRecord, older: Round, round: Round, base: Mapping[str, Any]
) -> dict[str, Any]:
    """Give an older trial's values of this round's hyperparameters.

    Raises:
        _LeftOutError: it has none, or others, or stands for another setting.
    """
    if record.state != "infeasible" and not (record.state == "completed" and record.measured):
        raise _LeftOutError("not measured")
    known = dict(record.values)
    if record.folder and (record.folder / "config.yaml").is_file():
        known = flatten(base_settings([record.folder / "config.yaml"])) | known

    def choose(key: str, space: Space) -> Any:
        if key not in known:
            raise _LeftOutError(f"without {key}")
        value = known[key]
        if not space.holds(value):
            raise _LeftOutError("outside its bounds")
        return value

    values = fill(round, choose)
    row = Row("", "all", 0, round.seeds[0], values)
    mine = {**flatten(base), **flatten(overrides(round, row, base))}
    arm = next(arm for arm in arms(older) if arm.name == record.arm)
    for key, value in leaves(arm.settings, flatten(base)).items():
        if key not in values and value != {} and mine.get(key) != value:
            raise _LeftOutError(f"of another {key}")
    return values
