"""Rules on the spaces, the points and where they come from."""

from collections.abc import Iterator

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.exploit import check_exploit
from phoneme_lightning.sweep.keys import LEARNING_RATE
from phoneme_lightning.sweep.lint_rules.case import Case, Found, Rule, names_in
from phoneme_lightning.sweep.spaces import Categorical, Int, Log

__all__ = ["RULES"]

ADAM_FAMILY = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax")

TIERS = {"beta1": 10, "eps": 25, "beta2": 40}
"""Points from which a setting of Adam is worth tuning. The playbook says "substantially more
than 25" for beta2; 40 is ours."""

OF_ANY_SIZE = ("lr", "weight_decay", "eps")

WIDE = 100.0
MANY_KEYS, POINTS_FOR_MANY = 5, 20


def adam_tier(case: Case) -> Iterator[Found]:
    """Few points, few settings of Adam; a list of points searches nothing."""
    if case.round.sampler.kind == "list":
        return
    points = case.round.budget.points
    betas = [
        zip(("beta1", "beta2"), map(names_in, template), strict=False)
        for key, template in case.derived()
        if key.endswith(".betas") and isinstance(template, list)
    ]
    made_from = [(beta, names) for pairs in betas for beta, names in pairs]
    tuned = set()
    for arm, spaces in case.arms:
        if case.optimizer(arm).rsplit(".", 1)[-1] in ADAM_FAMILY:
            tuned |= {"eps"} if any(key.endswith("init_args.eps") for key in spaces) else set()
            tuned |= {beta for beta, names in made_from if not names.isdisjoint(spaces)}
            for key, space in spaces.items():
                if key.endswith(".betas") and isinstance(space, Categorical):
                    pairs = zip(
                        *(one for one in space.choices if isinstance(one, list)), strict=False
                    )
                    named = zip(("beta1", "beta2"), pairs, strict=False)
                    tuned |= {beta for beta, values in named if len(set(values)) > 1}
    for setting, enough in TIERS.items():
        if setting in tuned and points < enough:
            yield (
                "warning" if points >= enough / 2 else "error",
                "budget.points",
                f"{points} points are too few to tune Adam's {setting}: below 10 tune only the "
                "learning rate, from 10 also beta1, from 25 also eps, from some 40 also beta2; "
                "fix it or give more points",
            )


def grid(case: Case) -> Iterator[Found]:
    """A grid of many dimensions tries few values of each."""
    wide = max((len(spaces) for _, spaces in case.arms), default=0)
    if case.round.sampler.kind == "grid" and wide > 2:
        yield (
            "error",
            "sampler.kind",
            f"a grid over {wide} hyperparameters tries only a few values of each: use halton",
        )


def sampler_and_phase(case: Case) -> Iterator[Found]:
    """Explore evenly, exploit adaptively."""
    kind, phase = case.round.sampler.kind, case.round.phase
    if phase != "exploit" and kind in ("gp", "tpe"):
        yield (
            "error",
            "sampler.kind",
            f"{kind} looks where it expects to win, which leaves no even picture of the space to "
            "learn from: use halton, and gp or tpe in an exploit round",
        )


def exploit(case: Case) -> Iterator[Found]:
    """What an exploit round can do."""
    round = case.round
    if round.phase != "exploit":
        return
    try:
        check_exploit(round)
    except InputError as error:
        said, _, mend = str(error).partition(": ")
        yield ("error", said.split()[0], mend)
    if round.sampler.kind in ("gp", "tpe") and not round.sampler.learn_from:
        yield (
            "info",
            "sampler.learn_from",
            "it begins from nothing: name the explore rounds of the same net",
        )


def scale(case: Case) -> Iterator[Found]:
    """What may be of any size is drawn on a logarithmic scale."""
    for key, space in case.spaces:
        if isinstance(space, Categorical | Log) or (isinstance(space, Int) and space.log):
            continue
        name = key.rsplit(".", 1)[-1]
        wide = space.low > 0 and space.high / space.low > WIDE
        if name in OF_ANY_SIZE or wide:
            yield (
                "warning",
                f"nuisance.{key}",
                f"evenly from {space.low:g} to {space.high:g}, nearly all points are of the "
                "largest size: use log" + ("" if space.low > 0 else ", with low above 0"),
            )


def natural_bound(case: Case) -> Iterator[Found]:
    """A bound that cannot be moved is no sign of a space that is too small."""
    for key, space in case.spaces:
        if isinstance(space, Categorical):
            continue
        hard = space.hard or [None, None]
        named = space.natural_bound
        for side, bound, limit in (("low", space.low, hard[0]), ("high", space.high, hard[1])):
            zero = side == "low" and bound == 0
            if named not in (side, "both") and (zero or (limit is not None and bound == limit)):
                yield (
                    "info",
                    f"nuisance.{key}.natural_bound",
                    f"{bound:g} cannot be moved: say natural_bound: {side}, or a best value there "
                    "counts as a sign that the space is too small",
                )


def coverage(case: Case) -> Iterator[Found]:
    """Points enough for the number of hyperparameters."""
    points = case.round.budget.points
    arm, spaces = max(case.arms, key=lambda pair: len(pair[1]))
    keys = len(spaces)
    enough = max(2 * keys, POINTS_FOR_MANY if keys > MANY_KEYS else 0)
    if points < enough and case.round.sampler.kind in ("halton", "grid"):
        yield (
            "warning",
            "budget.points",
            f"{points} points for {keys} hyperparameters (arm {arm.name}) leave most of the space "
            f"unseen: give at least {enough}, or fix some",
        )


def flat_learning_rate(case: Case) -> Iterator[Found]:
    """A first look at the learning rate spans more than a factor of 3."""
    if case.round.phase != "explore":
        return
    for key, space in case.spaces:
        if key == LEARNING_RATE and isinstance(space, Log) and space.high / space.low < 3:
            yield (
                "info",
                f"nuisance.{key}",
                f"{space.low:g} to {space.high:g} is narrow for exploring: its best value moves "
                "with every change of the net, so take at least a factor of 10",
            )


RULES: dict[str, Rule] = {
    "C7 Adam tier": adam_tier,
    "C6 grid": grid,
    "C6 sampler and phase": sampler_and_phase,
    "F1 exploit": exploit,
    "C3 scale": scale,
    "D1 natural bound": natural_bound,
    "C5 coverage": coverage,
    "C5 narrow learning rate": flat_learning_rate,
}
