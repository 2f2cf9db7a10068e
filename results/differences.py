"""The differences between models that are kept, as `phoneme-sweep compare` finds them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from phoneme_lightning.sweep.decisions.comparison import compare
from phoneme_lightning.sweep.decisions.fits import find_fits

__all__ = ["best_single", "differences", "pairs"]

Found = Mapping[str, Mapping[str, Any]]
"""Name of a model -> its summary, the worst first."""


def best_single(found: Found) -> str:
    """Name the best model that is one net, not decoded, and did not hear the test's features.

    Returns:
        Its name; "" where there is none.
    """
    single = [
        name
        for name, one in found.items()
        if len(one["nets"]) == 1 and "decoder" not in one and "pseudo" not in name
    ]
    return single[-1] if single else ""


def pairs(found: Found) -> list[tuple[str, str]]:
    """Give what is compared: the claims that are made, then what decoding and the like bring."""
    best = best_single(found)
    claims = [
        *(("crnn", "baseline"), ("crnn", "gru"), ("gru", "baseline")),
        *(("rnn", "crnn"), (best, "crnn"), ("ensemble", best), ("ensemble", "crnn")),
    ]
    for name in found:
        base, dash, end = name.rpartition("-")
        if dash and end in ("decoded", "long", "pseudo"):
            claims.append((name, base))
    return [(a, b) for a, b in dict.fromkeys(claims) if a != b and {a, b} <= found.keys()]


def differences(found: Found, kept: Path, title: Callable[[str], str]) -> list[str]:
    """Give a table of the differences in validation accuracy, with their 95 % intervals.

    Args:
        found: what is kept.
        kept: folder of all models.
        title: says what a model is.
    """
    lines = ["| difference | accuracy | over utterances | over speakers | over seeds |"]
    lines.append("|---|---|---|---|---|")
    for a, b in pairs(found) if found else ():
        seeds = [[one["seed"] for one in found[name]["runs"]] for name in (a, b)]
        # What was decoded of one seed is set beside that seed.
        part = f"s{seeds[0][0]}" if "decoder" in found[a] and len(seeds[0]) < len(seeds[1]) else ""
        ours, theirs = find_fits(str(kept / a)), find_fits(str(kept / b / part))
        assert ours is not None  # a summary stands beside runs
        assert theirs is not None
        told = compare(ours, theirs)
        by = {one.luck: one.span for one in told.intervals}
        lucks = (by[luck] for luck in ("utterances", "speakers", "seeds"))
        cells = (f"{title(a)} - {title(b)}", f"{told.difference:+.4f}", *lucks)
        lines.append(f"| {' | '.join(cells)} |")
    return lines if lines[2:] else ["There are no two to compare yet."]
