"""Findings as a table on the screen."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from phoneme_lightning.sweep.findings.finding import Finding

__all__ = ["findings_table"]

STYLES = {"block": "bold red", "warn": "yellow", "unknown": "magenta", "info": "", "ok": "dim"}
"""Verdict -> how its row looks."""


def findings_table(findings: Sequence[Finding]) -> Table:
    """Draw findings, in their order; what is not in order with what to do next.

    Args:
        findings: of one round.
    """
    table = Table(show_lines=False)
    for name in ("verdict", "rule"):
        table.add_column(name, no_wrap=True)
    table.add_column("what was found", overflow="fold")
    for finding in findings:
        said = escape(finding.sentence)
        if finding.action and finding.verdict != "ok":
            said += f"\n[bold]{escape(finding.action)}[/bold]"
        rule = f"{finding.rule} ({finding.playbook})" if finding.playbook else finding.rule
        table.add_row(finding.verdict, rule, said, style=STYLES[finding.verdict])
    return table
