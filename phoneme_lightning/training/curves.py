"""Reading a fit's metrics back, without loading what is needed to train."""

import csv
from pathlib import Path

__all__ = ["read_metrics"]


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """Read a metrics.csv: one dictionary a row, without what the row leaves empty.

    A last line that a crash cut short is left out.
    """
    path = Path(path)
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    rows = csv.DictReader(whole)
    return [{name: float(value) for name, value in row.items() if value} for row in rows]
