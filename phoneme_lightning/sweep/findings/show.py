"""Findings as a table on the screen."""

import re
from collections.abc import Sequence
from dataclasses import replace

from rich.markup import escape
from rich.table import Table

from phoneme_lightning.sweep.findings.finding import Finding

__all__ = ["findings_table"]

STYLES = {"block": "bold red", "warn": "yellow", "unknown": "magenta", "info": "", "ok": "dim"}
"""Verdict -> how its row looks."""


def findings_table(findings: Sequence[Finding]) -> Table:
    """Draw findings, in their order; what is not in order with what to do next.

    What is said of several arms in the same words is said once, of all of them.

    Args:
        findings: of one round.
    """
    table = Table(show_lines=False)
    for name in ("verdict", "rule"):
        table.add_column(name, no_wrap=True)
    table.add_column("what was found", overflow="fold")
    for finding in _folded(findings):
        said = escape(finding.sentence)
        if finding.action and finding.verdict != "ok":
            said += f"\n[bold]{escape(finding.action)}[/bold]"
        rule = f"{finding.rule} ({finding.playbook})" if finding.playbook else finding.rule
        table.add_row(finding.verdict, rule, said, style=STYLES[finding.verdict])
    return table


def _folded(findings: Sequence[Finding]) -> list[Finding]:
    """Put into one finding those that differ only in the arm that they name."""
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for one in findings:
        words = _around_arm(one) or (one.sentence,)
        alike.setdefault((one.rule, one.verdict, str(one.action), *words), []).append(one)
    return [_fold(same) if len(same) > 1 else same[0] for same in alike.values()]


def _around_arm(finding: Finding) -> tuple[str, ...]:
    """Give what stands before and after the arm's name; nothing where it stands there not once."""
    if finding.arm is None:
        return ()
    words = re.split(rf"(?<![\w.-]){re.escape(finding.arm)}(?![\w%-]|\.\w)", finding.sentence)
    return tuple(words) if len(words) == 2 else ()


def _fold(same: Sequence[Finding]) -> Finding:
    before, after = _around_arm(same[0]) or (same[0].sentence, "")
    names = list(dict.fromkeys(str(one.arm) for one in same)) if after else []
    listed = " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
    return replace(same[0], sentence=f"{before}{listed}{after}")
