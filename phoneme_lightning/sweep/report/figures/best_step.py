"""At which step trials were best: whether they trained too long or too short (playbook, F2)."""

from typing import NamedTuple

import plotly.graph_objects as go

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.report.figures.style import COLOURS, INK, PALE, layout, percent

__all__ = ["EARLY", "LATE", "BestStepInfo", "best_step_figure", "best_step_info"]

BINS = 20
EARLY, LATE = 0.10, 0.25
"""The first and the last part of training where a best step says something (playbook, F2)."""


class BestStepInfo(NamedTuple):
    """What the histogram of best steps shows."""

    steps: int
    """Steps that every trial was to train."""

    top: tuple[int, ...]
    """Completed trials by bin of their best step: the better quarter."""

    others: tuple[int, ...]
    """The other ones."""

    early: int
    """Trials of the better quarter that were best in the first part."""

    late: int
    """Those that were best in the last part."""


def best_step_info(evidence: Evidence) -> BestStepInfo:
    """Count completed trials by the step at which they were best."""
    steps = evidence.round.training.steps
    order = ranked(evidence.trials, evidence.round.objective)
    quarter = max(min(len(order), 3), -(-len(order) // 4))
    counts = ([0] * BINS, [0] * BINS)
    shares = []
    for place, trial in enumerate(order):
        assert trial.measured is not None
        share = trial.measured.best_step / steps
        # A step belongs to the bin that it ends.
        counts[place >= quarter][
            min(max(-(-trial.measured.best_step * BINS // steps) - 1, 0), BINS - 1)
        ] += 1
        if place < quarter:
            shares.append(share)
    return BestStepInfo(
        steps,
        tuple(counts[0]),
        tuple(counts[1]),
        sum(share <= EARLY for share in shares),
        sum(share > 1 - LATE for share in shares),
    )


def best_step_figure(info: BestStepInfo) -> go.Figure:
    """Draw the histogram of best steps, the first and last part shaded.

    Args:
        info: what to show.
    """
    width = info.steps / BINS
    highest = max(map(sum, zip(info.top, info.others, strict=True)))
    figure = go.Figure(
        layout=layout(
            "best step",
            "trials",
            height=320,
            barmode="stack",
            bargap=0.08,
            xaxis={"range": [0, info.steps], "showgrid": False},
            yaxis={"range": [0, 1.18 * highest]},
        )
    )
    for start, end, text in (
        (0, EARLY, f"first {percent(EARLY)}"),
        (1 - LATE, 1, f"last {percent(LATE)}"),
    ):
        figure.add_vrect(
            x0=start * info.steps,
            x1=end * info.steps,
            fillcolor=PALE,
            opacity=0.22,
            line_width=0,
            layer="below",
            annotation={"text": text, "font": {"size": 11, "color": INK}},
            annotation_position="top left",
        )
    middles = [(bin + 0.5) * width for bin in range(BINS)]
    for name, counts, colour in (
        ("the better quarter", info.top, COLOURS[0]),
        ("the others", info.others, PALE),
    ):
        figure.add_bar(
            x=middles,
            y=counts,
            width=width * 0.92,
            name=name,
            marker={"color": colour},
            hovertemplate="%{y} trials<extra></extra>",
        )
    return figure
