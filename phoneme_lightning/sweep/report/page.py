"""A round as one page of HTML that needs nothing else: no server, no network, no second file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from phoneme_lightning import __version__
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import ORDER, Finding
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.report.answer import answer
from phoneme_lightning.sweep.report.document import document
from phoneme_lightning.sweep.report.figures.style import number
from phoneme_lightning.sweep.report.gallery import gallery
from phoneme_lightning.sweep.report.html import details, paragraph, section
from phoneme_lightning.sweep.report.sections import (
    caveats,
    commands,
    leaderboard,
    list_findings,
)

__all__ = ["Extras", "page"]

STATES = ("completed", "infeasible", "failed", "interrupted", "waiting", "cancelled")

STAMP = "NOT EVIDENCE: cut by --quick. Too short and too few to decide anything."


@dataclass(frozen=True)
class Extras:
    """What the page tells beside trials and findings."""

    commands: Mapping[str, str] = field(default_factory=dict)
    """What for -> the command line."""

    public: float | None = None
    """The best trial's score on the public half of the test split, where it was looked at."""

    source: str = ""
    """The round file."""

    when: str = ""
    """Time at which the page was made."""


def page(evidence: Evidence, findings: Sequence[Finding], extras: Extras) -> str:
    """Write a round's page.

    Args:
        evidence: the round.
        findings: on it.
        extras: what else to tell.

    Returns:
        A whole HTML document of a few megabytes, most of which is plotly.js.
    """
    figures = gallery(evidence, findings)
    source = details("the round file", f"<pre>{escape(extras.source)}</pre>")
    made = f"phoneme-lightning {__version__}" + (f", {extras.when}" if extras.when else "")
    body = "\n".join(
        [
            _header(evidence, findings, extras),
            section("Leaderboard", leaderboard(evidence)),
            section("Findings", list_findings(findings, figures)),
            section("Figures", *figures.values()),
            section("Caveats", caveats(evidence)),
            section("Commands", commands(findings, extras.commands)),
            section("The round", source) if extras.source else "",
            f"<footer>{escape(made)}. One file: it opens without a network.</footer>",
        ]
    )
    return document(f"{evidence.round.name}: {evidence.round.goal.question}", body)


def _header(evidence: Evidence, findings: Sequence[Finding], extras: Extras) -> str:
    """Give the question and its answer."""
    round, told = evidence.round, answer(evidence, findings)
    after = f", after {round.goal.parent}" if round.goal.parent else ""
    lines = "".join(
        f"<div><dt>{name}</dt><dd>{escape(text).replace('/', '/<wbr>')}</dd></div>"
        for name, text in _facts(evidence, findings, extras).items()
        if text
    )
    return "\n".join(
        [
            "<header>",
            paragraph(f"Round {round.name}, {round.phase}{after}", "soft"),
            f"<h1>{escape(round.goal.question)}</h1>",
            "" if round.evidence else paragraph(STAMP, "stamp"),
            f'<div class="answer {told.verdict.replace(" ", "-")}">',
            *map(paragraph, (told.sentence, *told.details)),
            f'</div>\n<dl class="facts">{lines}</dl>\n</header>',
        ]
    )


def _facts(evidence: Evidence, findings: Sequence[Finding], extras: Extras) -> dict[str, str]:
    """Give what the round was, in a few numbers."""
    round = evidence.round
    order = ranked(evidence.trials, round.objective)
    states = [trial.state for trial in evidence.trials]
    verdicts = [finding.verdict for finding in findings]
    hours = sum(trial.seconds for trial in evidence.trials) / 3600
    weights = order[0].parameters if order else None
    return {
        "trials": ", ".join(f"{states.count(s)} {s}" for s in STATES if s in states),
        "steps a trial": f"{round.training.steps:,}",
        "objective": f"{round.objective.selection} {round.objective.metric}",
        "time trained": f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min",
        "parameters": f"{weights:,} (best trial)" if weights else "",
        "public score": "" if extras.public is None else f"{number(extras.public)} (best trial)",
        "findings": ", ".join(f"{verdicts.count(v)} {v}" for v in ORDER if v in verdicts),
    }
