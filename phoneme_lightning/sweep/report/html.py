"""The pieces that the page is made of, as HTML."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from phoneme_lightning.sweep.report.figures.style import number

__all__ = ["brief", "details", "figure", "paragraph", "plain", "section", "slug", "table"]


def slug(name: str) -> str:
    """Give a figure's name as an anchor takes it."""
    return "figure-" + "".join(sign if sign.isalnum() else "-" for sign in name)


def brief(sentences: Sequence[str], most: int = 3) -> list[str]:
    """Give the first of some sentences, and say how many more there are."""
    more = len(sentences) - most
    return [*sentences[:most], *([f"And {more} more: see the findings."] if more > 0 else [])]


def paragraph(text: str, kind: str = "") -> str:
    """Give a paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def section(title: str, *parts: str, anchor: str = "") -> str:
    """Give a section with a heading; nothing where all of its parts are empty."""
    body = "\n".join(part for part in parts if part)
    name = f' id="{anchor}"' if anchor else ""
    return f"<section{name}>\n<h2>{escape(title)}</h2>\n{body}\n</section>" if body else ""


def details(summary: str, body: str, on_paper: bool = False) -> str:
    """Give something that unfolds, on paper by itself where that is asked for."""
    kind = ' class="on-paper"' if on_paper else ""
    return f"<details{kind}><summary>{escape(summary)}</summary>\n{body}\n</details>"


def table(rows: Sequence[Mapping[str, Any]], first: str = "") -> str:
    """Give a table that scrolls sideways within itself where it is too wide.

    Args:
        rows: all with the columns of the first; a column without any value is left out.
        first: class of the first row.
    """
    columns = [name for name in (rows[0] if rows else ()) if any(r[name] is not None for r in rows)]
    if not columns:
        return ""
    numeric = {
        name
        for name in columns
        if all(isinstance(r[name], int | float | None) and r[name] is not True for r in rows)
    }

    # Accuracies and losses line up; what spans decades keeps its digits.
    forms = {
        name: ".4f" if all(0.01 <= abs(v) < 100 for v in floats) else ".4g"
        for name in columns
        if (floats := [row[name] for row in rows if isinstance(row[name], float)])
    }

    def cell(name: str, value: Any) -> str:
        kind = ' class="n"' if name in numeric else ""
        text = f"{value:{forms[name]}}" if isinstance(value, float) else number(value)
        return f"<td{kind}>{escape(text)}</td>"

    head = "".join(
        f'<th class="n">{escape(n)}</th>' if n in numeric else f"<th>{escape(n)}</th>"
        for n in columns
    )
    lines = []
    for place, row in enumerate(rows):
        kind = f' class="{first}"' if first and place == 0 else ""
        lines.append(f"<tr{kind}>{''.join(cell(name, row[name]) for name in columns)}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def figure(
    name: str, title: str, drawing: go.Figure, caption: str, notes: str = "", least: int = 0
) -> str:
    """Give a figure: its heading, what it shows, what findings say of it, and its drawing.

    Args:
        name: that findings call it by.
        title: of the figure.
        drawing: what plotly draws.
        caption: what to look for.
        notes: HTML, such as what was found.
        least: width in pixels; in a narrower window it scrolls within itself.
    """
    anchor = slug(name)
    key = _key(drawing)
    drawing.layout.showlegend = False
    data = drawing.to_json()  # plotly escapes <, so that no name can end the script
    height = int(drawing.layout.height)
    return (
        f'<figure id="{anchor}">\n<h3>{escape(title)}</h3>\n{notes}{key}'
        f'<div class="scroll"><div class="plot" data-json="{anchor}-data" '
        f'style="height:{height}px; --least:{least}px"></div></div>\n'
        f'<script type="application/json" id="{anchor}-data">{data}</script>\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def _key(drawing: go.Figure) -> str:
    """Give what the colours mean; plotly's own legend would leave no room on a phone."""
    if drawing.layout.showlegend is False:
        return ""
    named = [trace for trace in drawing.data if trace.name and trace.showlegend is not False]
    named.sort(key=lambda trace: trace.legendrank or 1000)
    items = []
    for trace in named:
        lines = trace.type == "scatter" and "lines" in (trace.mode or "")
        colour = trace.line.color if lines else trace.marker.color
        crossed = trace.type == "scatter" and trace.marker.symbol == "x-thin"
        kind = "line" if lines else "cross" if crossed else "dot"
        items.append(f'<li><i class="{kind}" style="--c:{colour}"></i>{escape(trace.name)}</li>')
    return f'<ul class="key">{"".join(items)}</ul>' if items else ""


def plain(value: Any) -> str:
    """Write a finding's number, list or mapping in a line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return number(value) if isinstance(value, int | float | str | None) else json.dumps(value)
