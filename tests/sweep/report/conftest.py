"""A made round, whose numbers are known, so that what a figure says can be held against them."""

import math

import pytest

from phoneme_lightning.sweep.design import arms, design
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.records import TrialRecord, measure
from phoneme_lightning.sweep.round import Budget, Conditional, Goal, Round, Scientific, Training
from phoneme_lightning.sweep.spaces import Categorical, Log, Uniform

LR, DROPOUT, NORM = "model.optimizer.init_args.lr", "model.dropout", "model.norm"
STEPS = 400


def make_round(points: int = 12) -> Round:
    """Two arms, of which one has a hyperparameter of its own; a log, a linear one, and choices."""
    return Round(
        Goal("Does a decay help <rnn> & co.?"),
        ["configs/rnn.yaml"],
        Budget(points),
        Training(STEPS, 40),
        name="made",
        scientific={"model.schedule": Scientific(["constant", "cosine"])},
        nuisance={LR: Log(1e-4, 1e-1), NORM: Categorical(["layer", "batch"])},
        conditional=[
            Conditional({"model.schedule": "cosine"}, nuisance={DROPOUT: Uniform(0.0, 0.5)})
        ],
        fixed={"model.optimizer.init_args.weight_decay": 0.01},
        caveats=["A small net."],
    )


def made(round: Round, rows: int = 40) -> Evidence:
    """Run a round in the head: the best rate is 1e-2, cosine gains 0.02, above 5e-2 it diverges.

    Args:
        round: with a learning rate.
        rows: of metrics.csv, a multiple of 10, for each trial.
    """
    trials, curves = [], {}
    for row in design(round):
        rate = row.values[LR]
        diverges = rate > 5e-2
        end = 0.7 - 0.05 * math.log10(rate / 1e-2) ** 2 + 0.02 * (row.arm == "cosine")
        curve = []
        for number in range(1, rows + 1):
            step, share = number * round.training.steps // rows, number / rows
            told = {
                "step": float(step),
                "train/loss": 0.8 + 2 * math.exp(-8 * share) + 0.05 * math.sin(7.0 * number),
                "train/grad_norm": 0.5 + 0.3 * math.cos(11.0 * number) ** 2,
            }
            if number % (rows // 10) == 0:
                told["val/frame_accuracy"] = end * (1 - math.exp(-6 * share))
                told["val/loss"] = 1.2 - end * share
            curve.append(told)
        if diverges:
            curve = [*curve[: rows // 2], {"step": STEPS / 2, "train/loss": math.nan}]
        measured = measure(curve, round.objective)
        state = "infeasible" if diverges else "completed"
        cause = "nan" if diverges else None
        trials.append(
            TrialRecord(
                row.trial, row.arm, row.point, row.seed, row.values, state, cause,
                attempts=1, measured=measured, step=STEPS, seconds=60.0, parameters=1234,
            )
        )  # fmt: skip
        curves[row.trial] = curve
    assert {arm.name for arm in arms(round)} == {trial.arm for trial in trials}
    return Evidence(round, trials, curves)


@pytest.fixture
def evidence() -> Evidence:
    return made(make_round())


@pytest.fixture
def clear() -> Evidence:
    """A round with points enough for its better arm to be told."""
    return made(make_round(20))


@pytest.fixture
def large() -> Evidence:
    """A thousand trials."""
    return made(make_round(500), rows=200)


@pytest.fixture
def empty(evidence: Evidence) -> Evidence:
    """A round of which no trial has begun."""
    trials = [
        TrialRecord(t.trial, t.arm, t.point, t.seed, t.values, "waiting") for t in evidence.trials
    ]
    return Evidence(evidence.round, trials, {})
