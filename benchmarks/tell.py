"""Write what is kept in benchmarks/results into pages of docs: `python benchmarks/tell.py`.

Between `<!-- NAME.KEY: COLUMN, ... -->` and `<!-- end -->` stands a table of the rows under KEY in
results/NAME.json (`all`: the whole result): a list of rows, a mapping of rows by name, or one row.
`COLUMN as TITLE` gives a column another title.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "tell"]

HERE = Path(__file__).parent
PAGES = [HERE.parent / "docs" / name for name in ("performance.md", "scaling.md")]
PART = re.compile(r"(<!-- (\w+)\.([\w.]+): (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def tell(text: str) -> str:
    """Give the page with all its tables made anew."""
    return PART.sub(
        lambda part: f"{part[1]}\n{_table(part[2], part[3], part[4])}\n\n{part[5]}", text
    )


def _table(name: str, path: str, columns: str) -> str:
    found = json.loads((HERE / "results" / f"{name}.json").read_text("utf-8"))["result"]
    for key in path.split(".")[path == "all" :]:
        found = found[key]
    rows = found if isinstance(found, list) else [found]
    if isinstance(found, dict) and all(isinstance(row, dict) for row in found.values()):
        rows = [{"name": key, **row} for key, row in found.items()]
    keys, titles = zip(*_named(columns), strict=True)
    lines = [titles, ["---"] * len(titles)]
    lines += [[_shown(_value(row, key)) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _named(columns: str) -> Iterator[tuple[str, str]]:
    for column in columns.split(", "):
        key, _, title = column.partition(" as ")
        yield key, title or key


def _value(row: Any, path: str) -> Any:
    for key in path.split("."):
        row = row.get(key) if isinstance(row, dict) else None
    return row


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{one:.4f}" for one in value)
    if not isinstance(value, float | int) or isinstance(value, bool):
        return "" if value is None else str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(tell(page.read_text("utf-8")), encoding="utf-8")
