"""How often the findings are right, counted on rounds whose truth is known.

    python -m phoneme_lightning.sweep.findings.calibrate [--rounds 1000] [--write docs/findings.md]

prints the tables of docs/findings.md, or puts them there, and leaves with 1 where a bar is missed:
of rounds in which nothing is wrong at most 5 % may get a finding that blocks and at most 10 % any
warning; of faults of 3 seed-sigma and more at least 90 % must be found.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from phoneme_lightning.sweep.findings.diagnose import RULES, calibrated
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.isolation import TELLING, fairness
from phoneme_lightning.sweep.findings.simulate import World, simulate
from phoneme_lightning.sweep.findings.statistics import wilson

__all__ = ["CLEAN", "PLANTED", "Planted", "Rate", "calibrate", "main", "naive_boundary"]

BEGIN, END = "<!-- calibration: begin -->", "<!-- calibration: end -->"
FIRST = 300_000
"""Seed of the first round: not those that the levels of the rules were chosen on."""
MOST_BLOCKED, MOST_WARNED, LEAST_FOUND = 0.05, 0.10, 0.90

CLEAN = {
    "no effect, 1 hyperparameter, 1 arm": World(1, arms=1, effect=0),
    "no effect, 2 hyperparameters, 1 arm": World(2, arms=1, effect=0),
    "no effect, 4 hyperparameters, 1 arm": World(4, arms=1, effect=0),
    "no effect, 2 hyperparameters, 2 arms": World(2, effect=0),
    "no effect, 4 hyperparameters, 2 arms": World(4, effect=0),
    "no effect, 4 hyperparameters, 4 arms": World(4, arms=4, effect=0),
    "optimum inside, 1 hyperparameter, 1 arm": World(1, arms=1),
    "optimum inside, 1 hyperparameter, 4 arms": World(1, arms=4),
    "optimum inside, 2 hyperparameters, 2 arms": World(2),
    "optimum inside, 4 hyperparameters, 2 arms": World(4, effect=1.5),
    "optimum inside, 4 hyperparameters, 4 arms": World(4, arms=4, effect=1.5),
    "the same, 30 points": World(4, arms=4, effect=1.5, points=30),
    "an arm 3 sigma better, 2 hyperparameters": World(2, gap=3),
    "1 in 20 trials infeasible, 2 hyperparameters": World(2, infeasible=0.05),
    "diverges above 80 % of the range, optimum at 40 %": World(2, diverges_above=0.8, optimum=0.4),
    "lopsided optimum inside, 3 times as steep above it": World(2, skew=3),
    "the same, 1 hyperparameter, 1 arm": World(1, arms=1, skew=3),
    "10 validations a trial, 2 hyperparameters": World(2, validations=10),
}
"""Rounds in which nothing is wrong; of two arms where no number is told."""


@dataclass(frozen=True)
class Planted:
    """A fault, in several sizes."""

    world: World
    """Where it is planted."""

    size: str
    """Field of the world that says how large it is."""

    sizes: Sequence[float]
    """The sizes to try."""

    rule: str
    """Who must find it."""

    bar: float | None = 3.0
    """Size from which on it must be found; None where no bar is set."""

    unit: str = "sigma"
    """Of the size."""


SIZES = (1, 2, 3, 5)
PLANTED = {
    "edge optimum, 1 hyperparameter": Planted(World(1, optimum=1.0), "effect", SIZES, "boundary"),
    "edge optimum, 2 hyperparameters": Planted(
        World(2, optimum=1.0, others=1.5), "effect", SIZES, "boundary"
    ),
    "edge optimum, 4 hyperparameters": Planted(
        World(4, optimum=1.0, others=1.5), "effect", SIZES, "boundary"
    ),
    "edge optimum, 4 hyperparameters, 1 arm": Planted(
        World(4, arms=1, optimum=1.0, others=1.5), "effect", SIZES, "boundary"
    ),
    "unfair arm: one of two has an edge optimum": Planted(
        World(2, optimum=1.0, others=1.5, unfair=True), "effect", SIZES, "fairness"
    ),
    "diverging above 70 % of the range, optimum at 90 %": Planted(
        World(2, diverges_above=0.7, optimum=0.9, others=1.5), "effect", SIZES, "instability"
    ),
    "infeasible wherever they are": Planted(
        World(), "infeasible", (0.2, 0.3, 0.4, 0.6), "infeasible", 0.6, "of trials"
    ),
    "overfitting": Planted(World(curve="overfit"), "strength", SIZES, "overfitting"),
    "noisy tail": Planted(World(curve="noisy"), "strength", SIZES, "late_noise"),
    "still improving": Planted(World(curve="improving"), "strength", SIZES, "length"),
    "saturated early": Planted(World(curve="saturated"), "effect", (3,), "length"),
    "training loss rising": Planted(
        World(curve="rising"), "strength", (1, 2, 3, 5), "training_loss", 3, "loss jitters"
    ),
    "spike of the training loss": Planted(
        World(curve="spike"), "strength", (5, 8, 12, 20), "spikes", 12, "loss jitters"
    ),
    "an arm is better": Planted(World(), "gap", SIZES, "isolation"),
    "best at its best, worst at its end": Planted(World(), "turned", SIZES, "robustness"),
    "few good points: a steep optimum, 4 hyperparameters": Planted(
        World(4), "effect", (5, 10, 20, 40), "density", None
    ),
}
"""Faults, each with the rule that must find it. The training loss has a noise of its own, its
jitter from row to row."""


@dataclass(frozen=True)
class Rate:
    """How often something happened."""

    hits: int
    """How often."""

    of: int
    """Of how many rounds."""

    @property
    def share(self) -> float:
        """The share."""
        return self.hits / self.of

    def __str__(self) -> str:
        """Give it in percent, with its 95 % Wilson interval."""
        low, high = wilson(self.hits, self.of)
        return f"{100 * self.share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def naive_boundary(evidence: Evidence) -> bool:
    """Tell whether the rule that people use by eye alarms, for comparison.

    The best trial lies in the outer 5 % of a range, or half of the best 3 (or 10 %) in its outer
    10 %, of any hyperparameter and arm.
    """
    for branch in evidence.branches():
        points = evidence.coordinates(branch, evidence.completed(branch.arm))
        top = points[: max(3, len(points) // 10)]
        off = np.abs(top - 0.5)
        if (off[:1] > 0.45).any() or ((off > 0.4).mean(axis=0) >= 0.5).any():
            return True
    return False


def is_found(rule: str, findings: Iterable[Finding]) -> bool:
    """Tell whether a rule says what it should of a fault."""
    own = [finding for finding in findings if finding.rule == rule]
    if rule == "isolation":
        return any(finding.numbers["clear"] for finding in own)
    return any(finding.verdict in ("warn", "block") for finding in own)


def judge(rule: str, evidence: Evidence) -> list[Finding]:
    """Let one rule judge, and those that it rests on."""
    if rule != "fairness":
        return RULES[rule](evidence)
    return fairness(evidence, [one for name in TELLING for one in RULES[name](evidence)])


def detection(rule: str, world: World, rounds: int) -> Rate:
    """Count in how many rounds of a world a rule finds the fault."""
    drawn = (simulate(world, FIRST + seed) for seed in range(rounds))
    return Rate(sum(is_found(rule, judge(rule, evidence)) for evidence in drawn), rounds)


def calibrate(rounds: int) -> tuple[str, bool]:
    """Count everything.

    Args:
        rounds: of each world.

    Returns:
        the tables in Markdown, and whether all bars are met.
    """
    lines = [
        f"{rounds} rounds of each kind, 20 points an arm; shares with 95 % Wilson intervals.",
        "",
        "| nothing is wrong | blocked | warned or blocked | boundary alone | naive boundary |",
        "|---|---|---|---|---|",
    ]
    met = True
    for name, world in CLEAN.items():
        print(name, file=sys.stderr, flush=True)
        blocked = warned = bound = naive = 0
        for seed in range(rounds):
            evidence = simulate(world, FIRST + seed)
            found = calibrated(evidence)
            blocked += found[0].verdict == "block"
            warned += found[0].verdict in ("block", "warn")
            bound += is_found("boundary", found)
            naive += naive_boundary(evidence)
        rates = [Rate(hits, rounds) for hits in (blocked, warned, bound, naive)]
        met &= rates[0].share <= MOST_BLOCKED and rates[1].share <= MOST_WARNED
        lines.append(f"| {' | '.join([name, *map(str, rates)])} |")
    lines += ["", "| a fault is planted | rule | size: found |", "|---|---|---|"]
    for name, planted in PLANTED.items():
        print(name, file=sys.stderr, flush=True)
        told = []
        for size in planted.sizes:
            changed: dict[str, Any] = {planted.size: size}
            world = replace(planted.world, **changed)
            rate = detection(planted.rule, world, rounds)
            told.append(f"{size:g} {planted.unit}: {rate}")
            if planted.bar is not None and size >= planted.bar:
                met &= rate.share >= LEAST_FOUND
        lines.append(f"| {name} | {planted.rule} | {'<br>'.join(told)} |")
    return "\n".join(lines) + "\n", met


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Returns:
        the exit code: 1 where a bar is missed.
    """
    parser = argparse.ArgumentParser(description="Count how often the findings are right.")
    parser.add_argument("--rounds", type=int, default=1000, help="of each kind (default: 1000)")
    parser.add_argument("--write", type=Path, help="page whose tables to replace")
    given = parser.parse_args(arguments)
    tables, met = calibrate(given.rounds)
    print(tables)
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        given.write.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", encoding="utf-8")
    if not met:
        print("a bar is missed", file=sys.stderr)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
