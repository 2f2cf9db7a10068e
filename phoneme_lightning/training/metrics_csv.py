"""A fit's metrics as a CSV file that only grows, and is whole after any crash."""

import csv
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from phoneme_lightning.training.curves import read_metrics

__all__ = ["MetricsCsv"]


class MetricsCsv(Logger):
    """Append one row each time metrics are logged, and hand it to the disk at once.

    A row holds the step (optimizer steps made so far) and the metrics of that moment; the rest
    of its columns stay empty. When a metric comes up for the first time the file is rewritten
    with one more column. Lightning's own CSVLogger deletes an existing file and buffers rows.

    Args:
        path: the file; rows that stand in it are kept.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self.columns = ["step"]
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.columns = next(csv.reader(file), self.columns)
            self._rewrite(self.columns, read_metrics(self.path))

    @property
    def name(self) -> str:
        """The logger's name."""
        return "metrics"

    @property
    def version(self) -> str:
        """One file, one version."""
        return ""

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Keep no settings: they stand in config.yaml beside the file."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row."""
        values = {name: f"{value:.7g}" for name, value in metrics.items() if name != "epoch"}
        row = {"step": step, **values}
        new = [name for name in row if name not in self.columns]
        if new:
            self._rewrite(self.columns + new, read_metrics(self.path))
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    @rank_zero_only
    def cut_after(self, step: int) -> None:
        """Drop the rows after a step: those that a fit resumed there will log again."""
        rows = read_metrics(self.path)
        if any(row["step"] > step for row in rows):
            self._rewrite(self.columns, [row for row in rows if row["step"] <= step])

    def _rewrite(self, columns: list[str], rows: list[dict[str, float]]) -> None:
        self.columns = columns
        partial = self.path.with_suffix(".partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows({name: f"{value:.9g}" for name, value in row.items()} for row in rows)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)
