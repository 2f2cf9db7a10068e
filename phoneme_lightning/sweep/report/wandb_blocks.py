"""wandb_report.json as the objects of wandb-workspaces, which is an extra; nothing is sent."""

from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

# The package's own __init__ hands its names on in a way that type checkers do not follow.
from wandb_workspaces.reports.v2 import interface as reports

__all__ = ["build"]

LONGEST_TITLE = 128
"""Characters that W&B takes."""

COLUMNS = 24
"""Of W&B's grid, the width of a Report."""

STEP = "trainer/global_step"


def build(told: Mapping[str, Any], entity: str, project: str, app: str) -> reports.Report:
    """Build a Report.

    Args:
        told: what wandb_report.json holds.
        entity: user or team that has the runs.
        project: that has them.
        app: address of W&B's pages, such as https://wandb.ai.
    """
    told_runs = told["runset"]
    runset = reports.Runset(
        entity=entity,
        project=project,
        name=told_runs["name"],
        # As Python writes a string, which is how its parser reads one.
        filters=f"Group == {told_runs['group']!r} and JobType == {told_runs['job_type']!r}",
        order=[
            reports.OrderBy(
                reports.SummaryMetric(told_runs["order"]["summary"]),
                ascending=told_runs["order"]["ascending"],
            )
        ],
        run_settings={
            run: reports.RunSettings(color=colour) for run, colour in told_runs["colours"].items()
        },
    )
    runs = f"{app}/{entity}/{project}/runs/"
    return reports.Report(
        entity=entity,
        project=project,
        title=shorten(told["title"], LONGEST_TITLE, placeholder="…"),
        width="fluid",
        blocks=[_block(block, runset, runs) for block in told["blocks"]],
    )


def _block(told: Mapping[str, Any], runset: reports.Runset, runs: str) -> Any:
    match told["kind"]:
        case "heading":
            return reports.H2(told["text"])
        case "markdown":
            return reports.MarkdownBlock(told["text"].replace("](run:", f"]({runs}"))
        case "table":
            return reports.MarkdownBlock(_table(told, runs))
        case _:
            return reports.PanelGrid(runsets=[runset], panels=_panels(told["panels"]))


def _table(told: Mapping[str, Any], runs: str) -> str:
    """Write a table as markdown, each trial's name a link to its run."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    columns = told["columns"]
    rows = [
        [
            f"[{cell}]({runs}{run})" if run and name == "trial" else cell.replace("|", r"\|")
            for name, cell in zip(columns, row, strict=True)
        ]
        for row, run in zip(told["rows"], told["runs"], strict=True)
    ]
    drawn = map(line, [columns, ["---"] * len(columns), *rows])
    return "\n".join([told["title"], "", *drawn]) if rows else "No trial has begun."


def _panels(told: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Give panels, side by side in pairs; the parallel coordinates take the whole width."""
    panels, x, y = [], 0, 0
    for one in told:
        wide = COLUMNS if one["kind"] == "parallel coordinates" else COLUMNS // 2
        if x + wide > COLUMNS:
            x, y = 0, y + 8
        panels.append(_panel(one, reports.Layout(x=x, y=y, w=wide, h=8)))
        x += wide
    return panels


def _panel(told: Mapping[str, Any], layout: reports.Layout) -> Any:
    match told["kind"]:
        case "parallel coordinates":
            columns = [
                reports.ParallelCoordinatesPlotColumn(_value(one), log=one.get("log", False))
                for one in told["columns"]
            ]
            return reports.ParallelCoordinatesPlot(
                title=told["title"], columns=columns, layout=layout
            )
        case "scatter":
            return reports.ScatterPlot(
                title=told["title"],
                x=_value(told["x"]),
                y=_value(told["y"]),
                log_x=told["x"]["log"],
                layout=layout,
            )
        case "importance":
            return reports.ParameterImportancePlot(with_respect_to=told["metric"], layout=layout)
        case _:
            grouped = told["group"] is not None
            return reports.LinePlot(
                title=told["title"],
                x=STEP,
                y=[told["metric"]],
                groupby=reports.Config(told["group"]) if grouped else None,
                groupby_aggfunc="mean" if grouped else None,
                groupby_rangefunc="minmax" if grouped else None,
                max_runs_to_show=100,
                layout=layout,
            )


def _value(told: Mapping[str, Any]) -> Any:
    if "config" in told:
        return reports.Config(told["config"])
    return reports.SummaryMetric(told["summary"])
