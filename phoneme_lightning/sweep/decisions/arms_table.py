"""All arms of a round beside one of them, for a round that asks about several changes at once."""

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.comparison import Comparison, compare
from phoneme_lightning.sweep.decisions.fits import fit_folders
from phoneme_lightning.sweep.decisions.side import find_side
from phoneme_lightning.sweep.design import read_design
from phoneme_lightning.sweep.folder import RoundFolder

__all__ = ["arms_table", "compare_arms"]


def compare_arms(name: str, root: Path) -> list[Comparison]:
    """Compare every other arm of a round with one of them, each by its best point.

    Args:
        name: ROUND:ARM, or ROUND for the arm that its file names first.
        root: folder of all rounds.

    Raises:
        InputError: there is no such round or arm, or no other arm has completed a trial.
    """
    if fit_folders(Path(name)):
        raise InputError(f"{name} has no arms to set beside each other: give two, A and B")
    side = find_side(name, root)
    if Path(name.rpartition(":")[2]).name == side.searched[0].trial:
        arm = f"{side.path}:{side.searched[0].arm}"
        raise InputError(f"{name} is one trial: give its arm, {arm}, or a second trial")
    done = {one.arm for one in find_side(str(side.path), root).searched}
    named = dict.fromkeys(row.arm for row in read_design(RoundFolder(side.path).design))
    arms = [arm for arm in named if arm in done]
    asked = {one.arm for one in side.searched}
    reference = asked.pop() if len(asked) == 1 else arms[0]
    if len(arms) < 2:
        raise InputError(
            f"{name}: {reference} alone has completed a trial, so there is nothing to set beside "
            "it: give two, phoneme-sweep compare A B"
        )
    theirs = find_side(f"{side.path}:{reference}", root)
    return [
        compare(find_side(f"{side.path}:{arm}", root), theirs) for arm in arms if arm != reference
    ]


def arms_table(comparisons: Sequence[Comparison]) -> Table:
    """Draw what `compare_arms` gives, the largest difference first."""
    first = comparisons[0]
    reference = _arm(first.sides[1])
    kinds = [interval.luck for interval in first.intervals]
    table = Table(
        title=f"{first.selection} {first.metric}, "
        f"and how far ahead of {escape(reference)} ({first.values[1]:.4f})",
        caption="95 % intervals of the difference, by kind of luck",
    )
    table.add_column("arm", no_wrap=True)
    for column in (first.metric, "difference", *kinds):
        table.add_column(column, justify="right")
    for one in sorted(comparisons, key=lambda one: -one.difference):
        spans = [interval.span for interval in one.intervals]
        table.add_row(
            escape(_arm(one.sides[0])), f"{one.values[0]:.4f}", f"{one.difference:+.4f}", *spans
        )
    return table


def _arm(side: str) -> str:
    return side.rpartition(":")[2]
