"""The sections of the page in words and tables: leaderboard, findings, caveats, commands."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import ORDER, Finding
from phoneme_lightning.sweep.leaderboard import arm_rows, mixed, trial_rows
from phoneme_lightning.sweep.report.html import details, paragraph, plain, slug, table

__all__ = [
    "caveat_lines",
    "caveats",
    "commands",
    "leaderboard",
    "list_findings",
    "without_arms_twice",
]

SHOWN = 10
MOST_ROWS = 200
"""Rows of the whole leaderboard; the rest stands in `phoneme-sweep export`."""


def without_arms_twice(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Leave the hyperparameter that names the arms out of a leaderboard, which has the arms."""
    columns = list(rows[0]) if rows else []
    once = [c for c in columns if c == "arm" or any(str(row[c]) != row["arm"] for row in rows)]
    return [{column: row[column] for column in once} for row in rows]


def leaderboard(evidence: Evidence) -> str:
    """Give the best trial of each arm, the best trials, and all of them folded away."""
    objective = evidence.round.objective
    rows = without_arms_twice(trial_rows(evidence.trials, objective))
    ordered = [row for row in rows if row["rank"]]
    best = ordered[:SHOWN]
    if all(row["state"] == "completed" for row in best):
        best = [{name: row[name] for name in row if name != "state"} for row in best]
    parts = []
    if len({trial.arm for trial in evidence.trials}) > 1:
        parts += [paragraph("The best trial of each arm", "soft")]
        parts += [table(arm_rows(evidence.trials, objective))]
    if best:
        title = f"The best {len(best)} of {len(ordered)} completed trials, on validation"
        parts += [paragraph(title, "soft"), table(best, first="first")]
    if len(rows) > len(best):
        some = "all" if len(rows) <= MOST_ROWS else f"{MOST_ROWS} of"
        parts.append(details(f"{some} {len(rows)} trials", table(rows[:MOST_ROWS])))
    return "\n".join(parts)


def list_findings(findings: Sequence[Finding], drawn: Iterable[str]) -> str:
    """Give the findings, the worst first; information, and what is in order, is folded away.

    Args:
        findings: in any order.
        drawn: names of the figures that the page has.
    """
    figures = set(drawn)

    def item(finding: Finding) -> str:
        about = ", ".join(filter(None, (finding.rule, finding.arm, finding.key, finding.playbook)))
        numbers = plain(finding.numbers)
        see = ""
        if finding.figure in figures:
            see = f' · <a href="#{slug(finding.figure or "")}">see the figure</a>'
        return (
            f'<li><span class="badge {finding.verdict}">{finding.verdict}</span><div>'
            f"{paragraph(finding.sentence)}"
            + (paragraph(numbers, "soft") if numbers else "")
            + (f"<pre>{escape(finding.action)}</pre>" if finding.action else "")
            + f'<p class="soft">{escape(about)}{see}</p></div></li>'
        )

    def listed(some: Sequence[Finding]) -> str:
        return f'<ul class="findings">{"".join(map(item, some))}</ul>' if some else ""

    if not findings:
        return paragraph("None was made.")
    ordered = sorted(findings, key=lambda finding: ORDER.index(finding.verdict))
    loud = [finding for finding in ordered if finding.verdict in ("block", "warn", "unknown")]
    quiet = ordered[len(loud) :]
    told = listed(loud) or paragraph("Nothing stands in the way.")
    if quiet:
        title = f"{len(quiet)} more: information, and what is in order"
        told += details(title, listed(quiet), on_paper=True)
    return told


def caveat_lines(evidence: Evidence) -> list[str]:
    """Say for what the answer may not hold, a line a caveat."""
    round = evidence.round
    lines = [
        *round.caveats,
        *(
            f"{key} was held at {plain(value)}: the answer holds for that value."
            for key, value in round.fixed.items()
        ),
        *(f"Mixed in one round: {line}." for line in mixed(evidence.trials)),
        f"Every trial trained for {round.training.steps:,} steps; longer ones may rank otherwise.",
    ]
    if len(round.seeds) == 1:
        lines.append(f"Each point was trained with one seed, {round.seeds[0]}.")
    return lines


def caveats(evidence: Evidence) -> str:
    """List for what the answer may not hold."""
    lines = caveat_lines(evidence)
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def commands(findings: Sequence[Finding], known: Mapping[str, str]) -> str:
    """List command lines: those of the round, and what its findings ask for.

    Args:
        findings: on the round.
        known: what for -> command line.
    """
    asked = [f.action for f in findings if f.action and f.verdict in ("block", "warn")]
    told = dict(known)
    if asked:
        told["what the findings ask for"] = "\n".join(dict.fromkeys(asked))
    return "\n".join(
        f"{paragraph(what, 'soft')}\n<pre>{escape(line)}</pre>" for what, line in told.items()
    )
