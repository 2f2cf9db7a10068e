import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[3] / "benchmarks" / "report.py"


def test_the_benchmark_makes_a_page_from_a_folder():
    arguments = ["--trials", "20", "--validations", "4"]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["trials"], told["validations"]) == (20, 4)
    assert 4 < told["megabytes"] < 10
    assert told["seconds"]["page"] > 0
