"""What the commands of decisions do."""

import json
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["compare", "confirm", "promote", "test"]


def compare(a: str, b: str | None, as_json: bool, root: Path) -> None:
    """Set two sides beside each other, or the arms of a round."""
    if b is None:
        _compare_arms(a, as_json, root)
        return
    from phoneme_lightning.sweep.decisions.comparison import compare as compare_sides
    from phoneme_lightning.sweep.decisions.comparison import lines
    from phoneme_lightning.sweep.decisions.fits import find_fits
    from phoneme_lightning.sweep.decisions.side import find_side

    ours = find_fits(a) or find_side(a, root)
    theirs = find_fits(b, ours.objective) or find_side(b, root, ours.objective)
    comparison = compare_sides(ours, theirs)
    if as_json:
        print(json.dumps(comparison.as_dict(), indent=2))
        return
    print("\n".join(lines(comparison)))


def _compare_arms(round: str, as_json: bool, root: Path) -> None:
    from phoneme_lightning.sweep.decisions.arms_table import arms_table, compare_arms
    from phoneme_lightning.sweep.screen import make_console

    comparisons = compare_arms(round, root)
    if as_json:
        print(json.dumps([one.as_dict() for one in comparisons], indent=2))
        return
    make_console().print(arms_table(comparisons))


def confirm(round: str, root: Path, **options: Any) -> int:
    """Train a candidate and a baseline again, until the verdict is clear."""
    from phoneme_lightning.sweep.decisions.confirm import confirm as run

    return run(round, root, **options)


def promote(
    round: str, root: Path, trial: str | None, name: str | None, because: str | None
) -> None:
    """Write a winner as a config of its own."""
    from phoneme_lightning.sweep.decisions.promotion import promote as write

    path = write(round, root, trial=trial, config=name, because=because)
    print(f"{path}: phoneme-cli fit --config {path}\n  phoneme-sweep test {path}")


def test(what: str, yes: bool, root: Path) -> None:
    """Open the private half for a promoted config."""
    from phoneme_lightning.sweep.conclusion import run_phoneme_cli
    from phoneme_lightning.sweep.decisions.private import look_at_private

    seen, before = look_at_private(what, root, again=yes, run_cli=partial(run_phoneme_cli, 1))
    print(f"{seen.config} on the private half of {seen.corpus}: {seen.private:.4f}")
    print(
        f"  frame accuracy over {seen.frames:,} frames, by {seen.trial} of {seen.round}; look "
        f"{seen.look} of this config, {len(before) + 1} of all at this half"
    )
