"""The benchmarks run, and what is kept of them says nothing of the machine but its processor."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KEPT = sorted(file.stem for file in (BENCHMARKS / "results").glob("*.json"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_preparing_is_measured():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "prepare.py"), "--minutes", "0.5"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    *_, row, last = done.stdout.splitlines()
    assert row.startswith("spoken ")
    report = json.loads(last)["spoken"]
    assert report["frames"] >= 0.5 * 6000
    assert report["seconds"] > 0
    assert 1e7 < report["peak_rss_bytes"] < 1e9
    assert 0 < report["open_ms"] < 1000


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_can_be_repeated(name):
    text = (BENCHMARKS / "results" / f"{name}.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert record["command"].startswith(f"python benchmarks/{name}.py")
    assert {"versions", "cpu", "cores", "result"} <= record.keys()
    assert not re.search(r'"/|[ =]/|~|:\\', text)  # no path of the machine
    assert f"`results/{name}.json`" in (BENCHMARKS / "README.md").read_text(encoding="utf-8")
