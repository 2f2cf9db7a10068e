"""Rules on how trials train, are validated and end."""

from collections.abc import Iterator

from phoneme_lightning.sweep.design import Arm
from phoneme_lightning.sweep.keys import WARMUP, flatten
from phoneme_lightning.sweep.lint_rules.case import Case, Found, Rule, largest

__all__ = ["RULES"]

FEWEST_EVALUATIONS = 5
BY_EPOCH_OR_TIME = (
    "trainer.val_check_interval",
    "trainer.check_val_every_n_epoch",
    "trainer.max_time",
)
LENGTHS = ("trainer.max_steps", "trainer.max_epochs")


def _steps(case: Case, arm: Arm) -> int:
    own = flatten(arm.settings).get("trainer.max_steps")
    return own if isinstance(own, int) else case.round.training.steps


def checkpoints(case: Case) -> Iterator[Found]:
    """The best weights are kept, so that the best validation can be chosen afterwards."""
    keep = case.round.training.keep
    if keep < 1:
        yield (
            "error",
            "training.keep",
            f"{keep} keeps no checkpoint of the best validation: give at least 1",
        )


def evaluation_by_steps(case: Case) -> Iterator[Found]:
    """Trials are validated at the same steps."""
    for key in BY_EPOCH_OR_TIME:
        if case.written.get(key) is not None or (
            key == "trainer.max_time" and case.settings.get(key) is not None
        ):
            yield (
                "error",
                key,
                "trials compare only when they are validated at the same steps and end at the "
                "same step: leave it out, and set training.evaluate_every and training.steps",
            )


def one_length(case: Case) -> Iterator[Found]:
    """The length stands in one place."""
    for key in LENGTHS:
        if case.written.get(key) is not None:
            yield (
                "error",
                key,
                f"it contradicts training.steps, which is {case.round.training.steps}: leave it "
                "out",
            )


def evaluations(case: Case) -> Iterator[Found]:
    """Validations enough to see where the best one is."""
    every = case.round.training.evaluate_every
    steps = min(_steps(case, arm) for arm, _ in case.arms)
    count = steps // every
    if count < FEWEST_EVALUATIONS:
        most = max(1, steps // FEWEST_EVALUATIONS)
        yield (
            "warning" if count else "error",
            "training.evaluate_every",
            f"{every} of {steps} steps gives {count} validations, too "
            "few to tell whether the best one is early (train shorter) or late (train longer): "
            f"give at most {most}",
        )


def warmup(case: Case) -> Iterator[Found]:
    """Warmup takes a small part of training."""
    if any(key == WARMUP for key, _ in case.derived()):
        return
    shares = []
    for arm, spaces in case.arms:
        steps = _steps(case, arm)
        longest = largest(spaces[WARMUP]) if WARMUP in spaces else case.of_arm(arm, WARMUP)
        if isinstance(longest, int | float):
            shares.append((longest / steps, longest, steps))
    share, longest, steps = max(shares, default=(0.0, 0, 0))
    if share > 0.05:
        yield (
            "error" if share > 0.1 else "warning",
            WARMUP,
            f"{longest:g} of {steps} steps is {share:.0%} of training, and a warmup that needs "
            "more than 5 % asks for longer training: set fewer, or raise training.steps",
        )


def seeds(case: Case) -> Iterator[Found]:
    """Exploring, a point teaches more than a repeat."""
    count = len(case.round.seeds)
    if case.round.phase == "explore" and count > 1:
        yield (
            "info",
            "seeds",
            f"{count} seeds a point: while exploring the same fits teach more as {count} times "
            "the points",
        )


def pruning(case: Case) -> Iterator[Found]:
    """Curves that findings are read from are whole."""
    kind = case.round.pruning.kind
    if kind == "none":
        return
    if case.round.phase != "exploit":
        yield (
            "error",
            "pruning.kind",
            f"{kind} cuts the curves that this round is to learn from: use none, and prune in "
            "exploit rounds",
        )
    elif case.round.sampler.kind == "gp":
        yield (
            "warning",
            "pruning.kind",
            f"gp learns nothing from trials that {kind} ended early: use tpe, or none",
        )


RULES: dict[str, Rule] = {
    "H3 best checkpoint": checkpoints,
    "H2 evaluation by steps": evaluation_by_steps,
    "F2 one length": one_length,
    "F2 enough validations": evaluations,
    "G4 warmup": warmup,
    "E1 seeds": seeds,
    "D4 pruning": pruning,
}
