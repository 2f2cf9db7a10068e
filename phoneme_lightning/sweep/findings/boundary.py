"""Whether the best settings crowd at a bound of the search space."""

from phoneme_lightning.sweep.findings.evidence import Branch, Evidence
from phoneme_lightning.sweep.findings.finding import Finding, Verdict
from phoneme_lightning.sweep.findings.limits import limits
from phoneme_lightning.sweep.findings.statistics import Rise, rises
from phoneme_lightning.sweep.spaces import Categorical, Int, Log, Space

__all__ = ["beyond", "boundary", "judge"]

WARN = Rise(trend=0.03, still=0.07, step=0.0)
BLOCK = Rise(trend=0.01, still=0.012, step=0.0)
"""Levels for the whole round: the trend's is shared by all bounds, that of `still` by the arms."""

ADAPTIVE = ("gp", "tpe")
"""Samplers that crowd points where they are good, so that no test of theirs can be trusted."""

Side = tuple[Branch, str, Space, bool, Rise]


def beyond(space: Space, upper: bool) -> float | None:
    """Propose a bound further out: ten times as far on a logarithmic scale, else a range more.

    Args:
        space: of a number.
        upper: which bound to move.

    Returns:
        Never outside `hard`; None where the bound cannot move.
    """
    if isinstance(space, Categorical) or space.natural_bound in ("both", _name(upper)):
        return None
    bound = float(space.high if upper else space.low)
    if isinstance(space, Log) or (isinstance(space, Int) and space.log):
        moved = bound * 10 if upper else bound / 10
    else:
        moved = bound + (space.high - space.low) * (1 if upper else -1)
    if isinstance(space, Int):
        moved = float(round(moved))
    if space.low >= 0:  # what begins above 0 counts or measures something
        moved = max(moved, min(float(space.low), 1.0) if isinstance(space, Int) else 0.0)
    wall = None if space.hard is None else space.hard[1 if upper else 0]
    if wall is not None:
        moved = min(moved, wall) if upper else max(moved, wall)
    return None if moved == bound else moved


def _name(upper: bool) -> str:
    return "high" if upper else "low"


def boundary(evidence: Evidence) -> list[Finding]:
    """Judge every bound of every arm that may move, on completed points.

    Where trials stop working before the bound, `instability` judges instead.
    """
    sides: list[Side] = []
    found: list[Finding] = []
    for branch in evidence.branches():
        if not branch.spaces:
            continue
        points, scores = evidence.completed_points(branch)
        rising = rises(points, scores)
        if rising is None:
            found.append(_too_few(evidence, branch, len(points)))
            continue
        ends = limits(evidence, branch)
        stops = {(limit.key, limit.upper) for limit in ends if limit.beyond}
        for (key, space), pair in zip(branch.spaces.items(), rising, strict=True):
            for upper, rise in zip((False, True), pair, strict=True):
                if (key, upper) not in stops and beyond(space, upper) is not None:
                    sides.append((branch, key, space, upper, rise))
    arms = len(evidence.arms())
    for side in sides:
        verdict = judge(side[-1], len(sides), arms)
        if verdict != "ok" and evidence.round.sampler.kind in ADAPTIVE:
            verdict = "info"
        if verdict != "ok":
            found.append(_at_bound(evidence, side, verdict, len(sides)))
    if sides and not any(one.verdict in ("warn", "block") for one in found):
        sentence = "No arm does best at a bound of its search space."
        found.append(Finding("boundary", "ok", sentence, {"bounds": len(sides)}, playbook="D1"))
    return found


def judge(rise: Rise, bounds: int, arms: int) -> Verdict:
    """Judge a rise to one of so many bounds of so many arms."""
    verdicts: tuple[tuple[Verdict, Rise], ...] = (("block", BLOCK), ("warn", WARN))
    for verdict, level in verdicts:
        rising = rise.trend * bounds < level.trend and rise.still * arms < level.still
        if rising and rise.step > level.step:
            return verdict
    return "ok"


def _at_bound(evidence: Evidence, side: Side, verdict: Verdict, bounds: int) -> Finding:
    branch, key, space, upper, rise = side
    bound = space.at(1.0 if upper else 0.0)
    new = beyond(space, upper)
    sentence = (
        f"Trials of {evidence.called(branch.arm)} do better the {'higher' if upper else 'lower'} "
        f"{key} is, up to the bound of its range, {bound:.3g}"
    )
    if verdict == "info":
        sentence += ", where its sampler may have crowded its points by itself: it is a hint."
    else:
        sentence += ": the best value is probably outside."
    numbers = {
        "bound": bound,
        "upper": upper,
        "chance_of_trend": min(1.0, rise.trend * bounds),
        "chance_of_optimum_inside": rise.still,
        "last_quarter_is_better_by": rise.step,
        "bounds": bounds,
        "proposed": new,
    }
    action = (
        f"phoneme-sweep next-round {evidence.round.name}  # {_name(upper)} of {key} becomes "
        f"{new:.3g}"
    )
    return Finding(
        "boundary", verdict, sentence, numbers, f"axis:{key}", action, branch.arm, key, "D1"
    )


def _too_few(evidence: Evidence, branch: Branch, points: int) -> Finding:
    return Finding(
        "boundary",
        "unknown",
        f"Too few completed points of {evidence.called(branch.arm)} over the same ranges to tell "
        "whether its best is at a bound.",
        {"completed": points, "keys": len(branch.spaces)},
        action=f"phoneme-sweep extend {evidence.round.name} --points "
        f"{max(20, evidence.round.budget.points + 10)}",
        arm=branch.arm,
        playbook="D1",
    )
