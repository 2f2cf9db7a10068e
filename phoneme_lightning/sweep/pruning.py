"""Ends weak trials of an exploit round early, from outside, where the round asks for it.

The worker reads a running trial's validations from its metrics.csv, reports them to the study and
asks Optuna's rule. A trial that is to end gets a file named `stop`: its fit ends after the next
validation, with all that a fit does at its end. No exception comes out of a hook, and a process
that must not open the storage need not.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from phoneme_lightning.sweep.round import Round
from phoneme_lightning.training.curves import read_metrics

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

    from phoneme_lightning.sweep.claim import Claim
    from phoneme_lightning.sweep.ledger import Ledger

__all__ = ["Pruner"]

REDUCTION = 3
"""Of so many trials one is carried on, as Hyperband's authors found good."""

FEWEST = 5
"""Trials that must have come as far before a median of them judges another."""

STOP = "stop"


class Pruner:
    """The rule of a round, and what it has seen.

    Args:
        ledger: of the round.
        round: its objective, pruning and training count.
    """

    def __init__(self, ledger: "Ledger", round: Round) -> None:
        self.ledger, self.metric, self.steps = ledger, round.objective.metric, round.training.steps
        self.rule = _make_rule(round)
        self._sizes: dict[Path, int] = {}
        self._steps: dict[Path, int] = {}  # the last that was reported

    def look(self, claim: "Claim", attempt: Path) -> bool:
        """Report a running trial's new validations, and ask it to stop if it is weak.

        Args:
            claim: of the trial.
            attempt: folder in which it runs.

        Returns:
            Whether it has been asked to stop, now or before.

        Raises:
            LostLease: the trial was taken away.
        """
        stop, metrics = attempt / STOP, attempt / "metrics.csv"
        if self.rule is None or stop.exists():
            return stop.exists()
        size = metrics.stat().st_size if metrics.exists() else 0
        if size == self._sizes.get(attempt, 0):
            return False
        for row in read_metrics(metrics):
            step, value = int(row["step"]), row.get(self.metric, math.nan)
            if not math.isfinite(value) or step <= self._steps.get(attempt, 0):
                continue
            if step >= self.steps:
                break
            trial = self.ledger.report(claim, step, value)
            self._steps[attempt] = step
            if self.rule.prune(self.ledger.study, trial):
                stop.touch()
                return True
        self._sizes[attempt] = size
        return False


def _make_rule(round: Round) -> "BasePruner | None":
    from optuna.pruners import HyperbandPruner, MedianPruner

    first = max(round.training.evaluate_every, round.pruning.warmup_steps)
    match round.pruning.kind:
        case "median":
            return MedianPruner(FEWEST, n_warmup_steps=first, n_min_trials=FEWEST)
        case "hyperband":
            return HyperbandPruner(first, round.training.steps, REDUCTION)
        case "none":
            return None
