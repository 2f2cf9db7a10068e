"""What the tuning playbook would object to in a round, each objection with its rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phoneme_lightning.sweep.lint_rules import goal, roles, space, training
from phoneme_lightning.sweep.lint_rules.case import Rule, Severity, make_case
from phoneme_lightning.sweep.round import Round

__all__ = ["RULES", "Objection", "lint"]

RULES: dict[str, Rule] = {**goal.RULES, **roles.RULES, **space.RULES, **training.RULES}
"""Rule -> who looks for breaches of it. A rule's name begins with its row in the playbook: A
starting, B strategy, C design, D learning, E adopting, F after exploring, G stability, H pipeline.
"""

OF_ALL = [*goal.TEST_SPLIT_RULES, "C6 sampler and phase"]
"""Rules that hold for demonstrations too."""

OF_PROBES = [*OF_ALL, "D4 column to rank by", "B3 direction", "H3 best checkpoint", "D4 pruning"]
"""Rules that hold for probes too, which vary what no round should tune, and compare no arms."""

OF_CONFIRM = [*goal.RULES, *training.RULES, "C6 sampler and phase"]
"""Rules that hold where a candidate meets a baseline: nothing is tuned there, on purpose."""


@dataclass(frozen=True)
class Objection:
    """A breach of a rule."""

    rule: str
    """Row of the playbook and short name."""

    severity: Severity
    """error: the round must not run; warning: it teaches less than it could; info: know it."""

    key: str
    """Key of the round file that it is about."""

    message: str
    """What is wrong and how to mend it."""

    def __str__(self) -> str:
        """Give it in a line."""
        return f"{self.severity}: {self.key}: {self.message} [{self.rule}]"


def lint(round: Round, configs: Sequence[str | Path] | None = None) -> list[Objection]:
    """Judge a round, the worst first.

    A round that `--quick` cut is no evidence: it is only kept from the test split, and from a
    sampler that would draw it no points. Where nothing is tuned, in a probe and in a confirm
    round, only rules on how trials train hold.

    Args:
        round: parsed.
        configs: where its base configs are; as `base` says where it is missing.

    Raises:
        InputError: a base config is not there.
    """
    case = make_case(round, round.base if configs is None else configs)
    of_phase = {"probe": OF_PROBES, "confirm": OF_CONFIRM}
    names = of_phase.get(round.phase, [*RULES]) if round.evidence else OF_ALL
    rules = {name: RULES[name] for name in names}
    found = [Objection(rule, *breach) for rule, look in rules.items() for breach in look(case)]
    return sorted(found, key=lambda one: ("error", "warning", "info").index(one.severity))
