"""Show how long it takes to design many points and to check all but phoneme-cli's parser.

python benchmarks/points.py [--points 10000]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from phoneme_lightning.sweep.design import design, read_design, write_design
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.overrides import base_settings, overrides
from phoneme_lightning.sweep.round_file import read_round

__all__ = ["main"]

ROUND = Path(__file__).parents[1] / "sweeps" / "optimizer_round4.yaml"


def main() -> None:
    """Print the seconds of each part, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000, help="trials in all")
    points = parser.parse_args().points
    marks = [time.perf_counter()]
    round = read_round(ROUND)
    round.budget.points = points // 2  # of each of its two arms
    lint(round)
    marks.append(time.perf_counter())
    rows = design(round)
    marks.append(time.perf_counter())
    base = base_settings(ROUND.parents[1] / config for config in round.base)
    for row in rows:
        overrides(round, row, base)
    marks.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as place:
        write_design(Path(place) / "design.csv", rows)
        assert read_design(Path(place) / "design.csv") == rows
    marks.append(time.perf_counter())
    parts = ("read_and_lint", "design", "overrides", "write_and_read")
    seconds = {
        part: round_to(end - start)
        for part, start, end in zip(parts, marks, marks[1:], strict=False)
    }
    for part, taken in seconds.items():
        print(f"{part}: {taken} s")
    print(json.dumps({"points": len(rows), "seconds": round_to(marks[-1] - marks[0]), **seconds}))


def round_to(seconds: float) -> float:
    """Round to milliseconds."""
    return float(f"{seconds:.3f}")


if __name__ == "__main__":
    main()
