"""Rounds whose truth is known, to find out how often the findings are right."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phoneme_lightning.sweep.design import trial_name
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.halton import halton
from phoneme_lightning.sweep.keys import LEARNING_RATE
from phoneme_lightning.sweep.records import Measured, TrialRecord
from phoneme_lightning.sweep.round import Budget, Goal, Round, Scientific, Training
from phoneme_lightning.sweep.spaces import Log

__all__ = ["World", "simulate"]

Floats = NDArray[np.float64]
Curve = Literal[
    "settled", "improving", "saturated", "overfit", "noisy", "periodic", "spike", "rising"
]

STEPS, ROWS = 2000, 40
LAST = 5
BEAT = 4
"""Validations after which a periodic curve repeats itself."""
CHANCE, PEAK = 0.2, 0.75
JITTER = 0.4
"""Of one validation to the next, in seed-sigma."""
LOSS_JITTER = 0.03
"""Of one row of the training loss to the next, in nats."""
FALL = 0.2
"""Of the training loss once validation has settled, in nats over a whole training."""


@dataclass(frozen=True)
class World:
    """What is true of a simulated round. Effects are in seed-sigma."""

    hyperparameters: int = 2
    """Nuisance hyperparameters; the first is the learning rate."""

    points: int = 20
    """Points an arm."""

    arms: int = 2
    """Arms."""

    effect: float = 3.0
    """How much worse the objective is half a range away from its optimum."""

    optimum: float | None = None
    """Coordinate of the best learning rate, where 1 is the upper bound; drawn from the middle half
    of the range if None, as it is for all others."""

    others: float | None = None
    """Like `effect`, of the hyperparameters besides the learning rate; the same if None."""

    skew: float = 1.0
    """How many times steeper the objective falls above its optimum than below."""

    gap: float = 0.0
    """By how much the last arm is better than the others."""

    curve: Curve = "settled"
    """What the curves of all trials look like."""

    strength: float = 3.0
    """How pronounced it is: what the objective gains in the last quarter (improving), or loses in
    the second half (overfit), jitters by (noisy) or goes up and down by (periodic). Of the training
    loss, in multiples of its jitter: by how much it rises in the second half (rising), or jumps
    (spike)."""

    diverges_above: float | None = None
    """Coordinate of the learning rate from which on every trial diverges."""

    infeasible: float = 0.0
    """Share of trials that diverge wherever they are."""

    unfair: bool = False
    """Whether `optimum` holds for the last arm alone."""

    turned: float = 0.0
    """By how much the last arm is better at its best than at its end, while the others are as much
    better at their end than the last arm is."""

    validations: int = 20
    """Validations of a trial; a divisor of 40."""

    sigma: float = 0.004
    """Standard deviation of the objective over seeds."""


class _Rows(Mapping[str, list[dict[str, float]]]):
    """Curves that become rows only when somebody looks."""

    def __init__(self, names: dict[str, int], validation: Floats, loss: Floats) -> None:
        self.names, self.validation, self.loss = names, validation, loss

    def __getitem__(self, trial: str) -> list[dict[str, float]]:
        place = self.names[trial]
        every, each = ROWS // self.validation.shape[1], STEPS // ROWS
        rows = [
            {"step": float((row + 1) * each), "train/loss": loss}
            for row, loss in enumerate(self.loss[place].tolist())
        ]
        for row, value in zip(
            rows[every - 1 :: every], self.validation[place].tolist(), strict=True
        ):
            row["val/frame_accuracy"] = value
        return rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _round(world: World) -> Round:
    keys = [LEARNING_RATE, *(f"model.knob_{n}" for n in range(1, world.hyperparameters))]
    arms = {f"arm{n}": n for n in range(world.arms)}
    return Round(
        Goal("Which arm is the best?"),
        ["configs/rnn.yaml"],
        Budget(world.points),
        Training(STEPS, STEPS // world.validations),
        name="simulated",
        scientific={"model.choice": Scientific(arms)} if world.arms > 1 else {},
        nuisance={key: Log(1e-4, 1e-1) for key in keys},
    )


def _validation(world: World, ends: Floats, rng: np.random.Generator) -> Floats:
    """Draw curves of the objective: (trials, validations) for trials that end at (trials,)."""
    time = np.arange(1, world.validations + 1) / world.validations
    slowness = 0.012 if world.curve == "saturated" else 0.08
    shape = 1 - np.exp(-time / slowness)
    jitter = np.full(world.validations, JITTER * world.sigma)
    drift = np.zeros(world.validations)
    if world.curve == "improving":
        drift = 4 * world.strength * (time - 1)
    if world.curve == "overfit":
        drift = -2 * world.strength * np.maximum(time - 0.5, 0)
    if world.curve == "periodic":
        drift = world.strength * np.sin(2 * np.pi * np.arange(world.validations) / BEAT)
    if world.curve == "noisy":
        jitter[world.validations // 2 :] = world.strength * world.sigma
    noise = rng.standard_normal((len(ends), world.validations)) * jitter
    curves: Floats = CHANCE + (ends - CHANCE)[:, None] * shape + drift * world.sigma + noise
    return curves


def _loss(world: World, trials: int, rng: np.random.Generator) -> Floats:
    """Draw curves of the training loss: (trials, rows)."""
    time = np.arange(1, ROWS + 1) / ROWS
    curves = 0.8 + 2.5 * np.exp(-time / 0.1) - FALL * time
    curves = curves + LOSS_JITTER * rng.standard_normal((trials, ROWS))
    if world.curve == "rising":
        curves += (2 * world.strength * LOSS_JITTER + FALL) * np.maximum(time - 0.5, 0)
    if world.curve == "spike":
        where = rng.integers(ROWS // 4, ROWS - 4, trials)
        height = world.strength * LOSS_JITTER
        for row, share in enumerate((1.0, 0.5)):
            curves[np.arange(trials), where + row] += height * share
    return curves


def simulate(world: World, seed: int) -> Evidence:
    """Draw a round.

    Args:
        world: what is true of it.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    round = _round(world)
    keys = list(round.nuisance)
    points = np.array(halton(world.points, len(keys), seed))
    optimum = rng.uniform(0.25, 0.75, len(keys))
    effects = np.full(len(keys), world.effect if world.others is None else world.others)
    effects[0] = world.effect
    upside_down = rng.random() < 0.5 and world.diverges_above is None
    ends: list[Floats] = []
    arm_of: list[int] = []
    point_of: list[int] = []
    for arm in range(world.arms):
        best = optimum.copy()
        if world.optimum is not None and (not world.unfair or arm == world.arms - 1):
            best[0] = 1 - world.optimum if upside_down else world.optimum
        away = (points - best) / 0.5
        drop = (effects * np.where(away > 0, world.skew, 1.0) * away**2).sum(axis=1)
        lift = world.gap if arm == world.arms - 1 else 0.0
        ends.append(lift - drop + rng.standard_normal(world.points))
        arm_of += [arm] * world.points
        point_of += range(world.points)
    score = PEAK + world.sigma * np.concatenate(ends)
    validation = _validation(world, np.maximum(score, CHANCE), rng)
    if world.turned:
        last = np.array(arm_of) == world.arms - 1
        early = slice(world.validations // 2, 3 * world.validations // 4)
        validation[last, early] += world.turned * world.sigma
        validation[last, early.stop :] -= world.turned * world.sigma
    bad = rng.random(len(score)) < world.infeasible
    if world.diverges_above is not None:
        bad |= points[np.array(point_of), 0] > world.diverges_above
    steps = (np.arange(world.validations) + 1) * (STEPS // world.validations)
    places = validation.argmax(axis=1)
    values = [
        {key: round.nuisance[key].at(u) for key, u in zip(keys, point, strict=True)}
        for point in points.tolist()
    ]
    names = [f"arm{arm}" if world.arms > 1 else "all" for arm in arm_of]
    records = []
    for place, (name, point) in enumerate(zip(names, point_of, strict=True)):
        curve = validation[place]
        measured = Measured(
            float(curve[places[place]]),
            int(steps[places[place]]),
            float(curve[-1]),
            float(curve[-LAST:].mean()),
        )
        records.append(
            TrialRecord(
                trial_name(point, name, 0),
                name,
                point,
                0,
                values[point],
                "infeasible" if bad[place] else "completed",
                cause="diverged" if bad[place] else None,
                measured=None if bad[place] else measured,
                step=STEPS,
            )
        )
    order = {record.trial: place for place, record in enumerate(records)}
    records.sort(key=lambda record: record.point)
    return Evidence(round, records, _Rows(order, validation, _loss(world, len(records), rng)))
