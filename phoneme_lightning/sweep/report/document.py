"""A page of HTML that needs nothing else: style, drawings and what draws them are inside."""

from html import escape
from importlib.resources import files

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from phoneme_lightning.sweep.report.html import figure, paragraph

__all__ = ["document", "lone_figure"]


def document(title: str, body: str) -> str:
    """Give a whole HTML document.

    Args:
        title: of the window.
        body: HTML, with figures as `html.figure` gives them.
    """
    here = files(__package__)
    css, script = (here.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>\n{css}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"<script>{get_plotlyjs()}</script>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def lone_figure(title: str, sentence: str, drawing: go.Figure, caption: str) -> str:
    """Give a page with one figure.

    Args:
        title: of the figure.
        sentence: what it shows, above it.
        drawing: what plotly draws.
        caption: what to look for.
    """
    told = f'<div class="answer">{paragraph(sentence)}</div>'
    return document(title, f"{told}\n{figure('figure', title, drawing, caption)}")
