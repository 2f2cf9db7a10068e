"""The live table of a round; where there is no terminal, a line for each trial that ends."""

import time
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from phoneme_lightning.sweep.attempt import OUTPUT, last_lines
from phoneme_lightning.sweep.driver import Driver, View
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.progress import Progress, RoundWatch, clock, now
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.round import Objective, Round

__all__ = ["Screen", "make_console", "progress_table"]

LINES = 5
"""Of a failed trial's output."""

REFRESH_SECONDS = 1.0
WIDTH = 160
"""Characters a line in a file or a pipe."""


def progress_table(progress: Progress, round: Round, parallel: int) -> Table:
    """Draw how a round stands.

    Args:
        progress: what has been counted.
        round: what the round is.
        parallel: trials at once, for the time left; 0 where it is unknown.
    """
    stamp = "" if round.evidence else "  NOT EVIDENCE: cut by --quick"
    title = f"{round.name}: {round.goal.question}{stamp}"
    caption = f"{progress.done}/{progress.total} done"
    left = progress.total - progress.done
    if left and parallel and progress.seconds:
        caption += f", about {clock(left * progress.seconds / parallel)} left"
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("arm")
    for name in ("done", "running", "waiting", "infeasible", "failed"):
        table.add_column(name, justify="right")
    table.add_column(f"best {round.objective.metric}", justify="right", min_width=6)
    table.add_column("trial")
    for arm in progress.arms:
        counts = (arm.completed, arm.running, arm.waiting, arm.infeasible, arm.failed)
        table.add_row(
            arm.arm,
            *(str(count) if count else "" for count in counts),
            value_of(arm.best, round.objective),
            arm.best.trial if arm.best else "",
            style="bold" if arm.best and arm.best is progress.best else None,
        )
    return table


def value_of(record: TrialRecord | None, objective: Objective) -> str:
    """Write a trial's objective."""
    if record is None or record.measured is None:
        return ""
    return f"{record.measured.by(objective.selection):.4f}"


def make_console() -> Console:
    """Give a console that cuts no table short where nobody's terminal is too narrow for it."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, WIDTH))


class Screen(View):
    """Shows a round while it runs.

    Args:
        folder: of the round.
        round: what it is.
    """

    def __init__(self, folder: RoundFolder, round: Round) -> None:
        self.round = round
        self.console = make_console()
        self.watch = RoundWatch(folder, round)
        self._live: Live | None = None
        self._shown = 0.0

    def __enter__(self) -> "Screen":
        """Take the terminal, where there is one."""
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        """Leave the terminal as it was."""
        if self._live:
            with suppress(OSError):
                self._live.stop()

    def say(self, message: str) -> None:
        """Print a line above the table."""
        self._print(f"{now()} {message}")

    def ended(self, record: TrialRecord) -> None:
        """Print a line for a trial that has ended."""
        text = f"{record.trial}: {record.state}"
        if record.measured and record.state == "completed":
            measured = record.measured
            value = measured.by(self.round.objective.selection)
            text += f", {self.round.objective.metric} {value:.4f}, best at {measured.best_step}"
        if record.cause:
            text += f" ({record.cause})"
        if record.seconds:
            text += f", {record.seconds:.0f} s"
        if record.stopped_early:
            text += ", stopped early"
        if record.message and record.state != "completed":
            text += f": {record.message}"
        self.say(text)
        if record.state == "failed" and record.folder:
            for line in last_lines(record.folder / OUTPUT, LINES):
                self._print(f"    {line}")

    def _print(self, line: str) -> None:
        with suppress(OSError):  # the terminal is gone, or the disk of the log is full
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, driver: Driver) -> None:
        """Draw the table, now and then."""
        self.draw({slot.row.trial for slot in driver.slots}, driver.parallel)

    def draw(self, running: set[str], parallel: int) -> None:
        """Draw the table, now and then, where there is a terminal.

        Args:
            running: names of the trials that run.
            parallel: trials at once, as for `progress_table`.
        """
        if self._live is None or time.monotonic() - self._shown < REFRESH_SECONDS:
            return
        table = progress_table(self.watch.look(running), self.round, parallel)
        with suppress(OSError):
            self._live.update(table)
        self._shown = time.monotonic()
