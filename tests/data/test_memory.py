"""What the benchmark of memory shows at full size holds at a small one too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "memory.py"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_and_opening_time_do_not_grow_with_the_corpus():
    command = [sys.executable, str(BENCHMARK), "--utterances", "160", "--times", "50"]
    result = subprocess.run(
        [*command, "--mean-frames", "100"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["large"]["corpus_bytes"] > max(40e6, 45 * summary["small"]["corpus_bytes"])
    assert summary["share_of_corpus"] < 0.05
    assert summary["bytes_an_utterance"] < 250
    assert summary["large"]["open_ms"] < 50
