"""The figures of the page, each with its heading, what to look for, and what was found in it."""

from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.report.figures.axis import axis_figure, axis_info, axis_keys
from phoneme_lightning.sweep.report.figures.best_step import best_step_figure, best_step_info
from phoneme_lightning.sweep.report.figures.budget import budget_figure, budget_info
from phoneme_lightning.sweep.report.figures.confusion import (
    ConfusionInfo,
    confusion_figure,
    confusion_info,
)
from phoneme_lightning.sweep.report.figures.curves import curves_figure, curves_info, losses_info
from phoneme_lightning.sweep.report.figures.gradients import gradients_figure, gradients_info
from phoneme_lightning.sweep.report.figures.importance import importance_figure, importance_info
from phoneme_lightning.sweep.report.figures.isolation import isolation_figure, isolation_info
from phoneme_lightning.sweep.report.figures.parallel import parallel_figure, parallel_info
from phoneme_lightning.sweep.report.figures.style import arm_colours, best_few, percent
from phoneme_lightning.sweep.report.html import brief, details, figure, paragraph, table

__all__ = ["Drawing", "drawings", "gallery"]

Drawing = tuple[str, str, go.Figure, str]
"""Name that findings call it by, title, figure, what to look for."""

SEARCHES = ("explore", "exploit")
"""Phases whose trials are points of a search."""

OF_NUMBERS = (
    "Dotted lines are the bounds of the search. If the best trials crowd at one, the space is too "
    "small: move the bound and ask again. Red crosses were infeasible; triangles lie beyond the "
    "frame."
)

OF_CHOICES = (
    "A column is a choice, in it the arms side by side. Red crosses were infeasible; triangles lie "
    "beyond the frame."
)


def drawings(evidence: Evidence) -> Iterator[Drawing]:
    """Draw every figure of a round that it has numbers for, but for the phones.

    Args:
        evidence: the round.

    Yields:
        Figures in the order in which one looks at them.
    """
    if not best_few(evidence):
        return
    colours = arm_colours(evidence)
    yield from _spaces(evidence, colours)
    importance = importance_info(evidence)
    if importance.bars:
        yield (
            "importance",
            "What mattered most",
            importance_figure(importance),
            "How much each of what varied has to do with being in the better half of the points "
            "(PED-ANOVA). The lines span 95 % of what the points drawn again would give: where "
            "they overlap, the order may be luck.",
        )
    yield from _training(evidence)
    if evidence.round.phase in SEARCHES:
        yield (
            "budget",
            "How good the best of so many points is",
            budget_figure(budget_info(evidence), colours),
            "The line is the median of the best, the band (up to four arms) holds half of the "
            "searches. Where it still rises at the right, more points would help; where it is "
            "wide, the search was lucky or unlucky by so much. An infeasible trial is a draw that "
            "was lost.",
        )
    if axis_keys(evidence):
        yield (
            "parallel",
            "All hyperparameters at once",
            parallel_figure(parallel_info(evidence)),
            "A line is a trial, the darker the better; red ones were infeasible. Where the dark "
            "lines meet on an axis, its hyperparameter mattered. Of many trials the best are "
            "shown, and an even choice of the others.",
        )


def _spaces(evidence: Evidence, colours: dict[str, str]) -> Iterator[Drawing]:
    if len(colours) > 1:
        yield (
            "isolation",
            "The arms, each at its best",
            isolation_figure(isolation_info(evidence), colours),
            "The diamond is an arm's best trial. Its bar spans 95 % of the bests that as many "
            "points drawn again would give, as many for each arm as the one with the fewest "
            "completed; dots are single trials. Seeds are not in it.",
        )
    for key in axis_keys(evidence):
        info = axis_info(evidence, key)
        yield (
            f"axis:{key}",
            f"{evidence.round.objective.metric} against {info.name}",
            axis_figure(info, colours),
            OF_CHOICES if info.scale == "category" else OF_NUMBERS,
        )


def _training(evidence: Evidence) -> Iterator[Drawing]:
    yield (
        "curves",
        f"{evidence.round.objective.metric} over training",
        curves_figure(curves_info(evidence)),
        "A curve that bends back overfits; one that still rises at the end wants more steps; one "
        "that jumps about at the end wants a decay, or a larger validation set.",
    )
    losses = losses_info(evidence)
    if losses.curves:
        yield (
            "losses",
            "Loss over training",
            curves_figure(losses),
            "Training loss; dotted, validation loss. Training loss that rises for a stretch is "
            "mostly a bug, or a learning rate at the edge of what is stable.",
        )
    yield (
        "best_step",
        "When trials were best",
        best_step_figure(best_step_info(evidence)),
        "Most of the better quarter in the last 25 %: train longer. All in the first 10 %: far "
        "fewer steps will do.",
    )
    gradients = gradients_info(evidence)
    if gradients.curves:
        yield (
            "gradients",
            "Gradient norms before clipping",
            gradients_figure(gradients),
            "At the side, the best trial's in sum, and where 90 % lie below: a good norm to clip "
            "at. If most are clipped, lower the learning rate instead.",
        )


def gallery(evidence: Evidence, findings: Sequence[Finding]) -> dict[str, str]:
    """Give all figures as HTML, by the name that findings call them by.

    Args:
        evidence: the round.
        findings: on it; those of a figure stand above it.
    """
    parts = {
        name: figure(name, title, drawing, caption, _notes(findings, name), _least(name, evidence))
        for name, title, drawing, caption in drawings(evidence)
    }
    order = ranked(evidence.trials, evidence.round.objective)
    if order and evidence.confusion is not None:
        parts["confusion"] = _phones(confusion_info(order[0].trial, evidence.confusion), findings)
    return parts


def _least(name: str, evidence: Evidence) -> int:
    """Give the narrowest that a figure may be, in pixels."""
    return 110 * (len(axis_keys(evidence)) + 2) if name == "parallel" else 0


def _notes(findings: Sequence[Finding], name: str) -> str:
    """Give what was found in a figure, the worst first."""
    notes = []
    for verdict in ("block", "warn"):
        mine = [f.sentence for f in findings if f.figure == name and f.verdict == verdict]
        notes += [paragraph(sentence, f"note {verdict}") for sentence in brief(mine)]
    return "".join(notes)


def _phones(info: ConfusionInfo, findings: Sequence[Finding]) -> str:
    """Give the matrix, the costliest mistakes and the table of phones of the best trial."""
    silent = "" if info.silence is None else f" and {100 * info.silence:.1f} % silence"
    caption = (
        f"Trial {info.trial}, its last validation: of {info.frames:,} frames "
        f"{100 * info.accuracy:.1f} % are right{silent}. Phones that sound alike stand together."
    )
    mistakes = [
        {"true": true, "predicted": predicted, "of all mistakes": f"{100 * share:.1f} %"}
        for true, predicted, share in info.top
    ]
    rows = [
        {
            "phone": row.phone,
            "frames": row.frames,
            "right": row.right,
            "recall": row.recall,
            "precision": row.precision,
            "mostly taken for": row.taken_for and f"{row.taken_for} ({percent(row.taken_share)})",
        }
        for row in info.rows
    ]
    matrix = figure(
        "confusion",
        "What the best trial takes for what",
        confusion_figure(info),
        caption,
        _notes(findings, "confusion"),
        least=620,
    )
    costly = paragraph("The costliest mistakes", "soft") + table(mistakes)
    return f"{matrix}\n{costly}\n{details(f'each of the {len(rows)} phones', table(rows))}"
