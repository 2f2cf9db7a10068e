"""The benchmark of data runs, and frames become batches far faster than one by one."""

import json
import os
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "data.py"


def test_batches_are_ready_much_sooner_than_the_courses():
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--quick", "--threads", "1", "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    ways = result["ways"]
    assert {"course", "padded, 0 workers", "padded, 2 workers"} < ways.keys()
    course, loader = ways["course"], ways["ours, 8,000, loader"]
    assert loader["with_set_up"] > 10 * course["with_set_up"]
    assert result["times_the_course_with_set_up"] > 4
    assert loader["padding"] < ways["padded, 0 workers"]["padding"]
    assert result["wait_share"] is None  # a quick run trains nothing
