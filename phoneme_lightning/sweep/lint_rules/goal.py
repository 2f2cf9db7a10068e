"""Rules on the question and on what trials are ranked by."""

from collections.abc import Iterator
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import find_round
from phoneme_lightning.sweep.lint_rules.case import Case, Found, Rule

__all__ = ["RULES", "TEST_SPLIT_RULES"]

LESS_IS_BETTER = ("loss", "error_rate")

SCORES = ("loss", "frame_accuracy", "macro_f1", "phone_error_rate")
VALIDATION_COLUMNS = [f"val/{score}" for score in SCORES]


def objective_on_test(case: Case) -> Iterator[Found]:
    """The test split is looked at once, at the end."""
    metric = case.round.objective.metric
    if metric.startswith("test/"):
        better = f"val/{metric.removeprefix('test/')}"
        yield (
            "error",
            "objective.metric",
            f"{metric} ranks trials by the test split, whose score is then no longer an honest "
            f"one: use {better}",
        )


def test_after_fit(case: Case) -> Iterator[Found]:
    """No trial looks at the test split."""
    if case.settings.get("run.test_after_fit"):
        yield (
            "error",
            "run.test_after_fit",
            "true would show every trial the test split: leave it out, the round scores its "
            "best trial alone, when it ends",
        )


def objective_column(case: Case) -> Iterator[Found]:
    """The column is there, and is of the validation split."""
    metric = case.round.objective.metric
    if metric.startswith("train/"):
        yield (
            "warning",
            "objective.metric",
            f"{metric} rewards overfitting: rank by validation, such as val/frame_accuracy",
        )
    elif not metric.startswith("test/") and metric not in VALIDATION_COLUMNS:
        yield (
            "error" if metric.startswith("val/") else "warning",
            "objective.metric",
            f"no fit here writes {metric}: the known columns are {', '.join(VALIDATION_COLUMNS)}",
        )


def direction(case: Case) -> Iterator[Found]:
    """The better end is up for accuracies and down for losses and errors."""
    objective = case.round.objective
    right = "min" if objective.metric.endswith(LESS_IS_BETTER) else "max"
    if objective.metric in VALIDATION_COLUMNS and objective.mode != right:
        yield (
            "error",
            "objective.mode",
            f"{objective.mode} would look for the worst {objective.metric}: use {right}",
        )


def question(case: Case) -> Iterator[Found]:
    """A round answers one question."""
    text = case.round.goal.question
    if not text.rstrip().endswith("?"):
        yield (
            "info",
            "goal.question",
            f"{text!r} is no question: write the one that this round answers, with a ? at its end",
        )


def parent(case: Case) -> Iterator[Found]:
    """The round before this one can be found."""
    name = case.round.goal.parent
    if not name or (Path("sweeps") / f"{name}.yaml").is_file():
        return
    try:
        find_round(name)
    except InputError:
        yield (
            "info",
            "goal.parent",
            f"{name} is no round under runs/rounds/ or sweeps/: check its name",
        )


TEST_SPLIT_RULES: dict[str, Rule] = {
    "F1 objective on the test split": objective_on_test,
    "F1 test split in a trial": test_after_fit,
}

RULES: dict[str, Rule] = {
    **TEST_SPLIT_RULES,
    "D4 column to rank by": objective_column,
    "B3 direction": direction,
    "B3 one question": question,
    "B1 lineage": parent,
}
