"""Show what it takes to prepare a corpus: time, memory, and how soon its store is open.

Each `phoneme-data prepare` runs in a process of its own and writes to a temporary folder. Its
memory is the peak of its largest process (getrusage, so not on Windows), libraries among it.

    python benchmarks/prepare.py [--libriphone FOLDER]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from phoneme_lightning.corpora.store import FrameStore

__all__ = ["Run", "main", "measure", "run"]

_COMMAND = "from phoneme_lightning.data_cli import main; main()"

# What a process needs counts its parent's memory when it was forked: so a small one starts it.
_START = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=sys.stderr, check=True)
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""

_OPENINGS = 20


class Run(NamedTuple):
    """What a command took: wall seconds, a core's seconds, and its largest process's peak bytes."""

    seconds: float
    core_seconds: float
    peak: int


def run(*arguments: str) -> Run:
    """Run `phoneme-data` with some arguments."""
    done = subprocess.run(
        [sys.executable, "-c", _START, sys.executable, "-c", _COMMAND, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, core_seconds, peak = json.loads(done.stdout)
    return Run(seconds, core_seconds, peak * (1 if sys.platform == "darwin" else 1024))


def measure(out: Path, *arguments: str) -> dict[str, Any]:
    """Prepare a store and open it.

    Args:
        out: where the store shall stand.
        arguments: of `phoneme-data prepare`.

    Returns:
        Wall seconds and peak bytes of the command, what it made, and the median milliseconds to
        open that, its files being in the page cache.
    """
    done = run("prepare", *arguments, "--out", str(out))
    openings_ms = []
    for _ in range(_OPENINGS):
        start = time.perf_counter()
        store = FrameStore(out)
        openings_ms.append(1000 * (time.perf_counter() - start))
    return {
        "utterances": len(store),
        "frames": len(store.features),
        "seconds": round(done.seconds, 2),
        "peak_rss_bytes": done.peak,
        "open_ms": round(statistics.median(openings_ms), 2),
    }


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--libriphone", type=Path, help="folder of the corpus; without it, no row")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the spoken corpus")
    parser.add_argument("--workers", type=int, default=2, help="voices that speak at once")
    arguments = parser.parse_args()

    reports = {}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.libriphone:
            source = str(arguments.libriphone)
            reports["libriphone"] = measure(Path(folder) / "libriphone", "libriphone", source)
        spoken = ("--minutes", str(arguments.minutes), "--workers", str(arguments.workers))
        reports["spoken"] = measure(Path(folder) / "spoken", "spoken", *spoken)
    print("corpus      utterances     frames  seconds  peak MB  open ms")
    for name, report in reports.items():
        print(
            f"{name:10}  {report['utterances']:10,}  {report['frames']:9,}  "
            f"{report['seconds']:7.1f}  {report['peak_rss_bytes'] / 1e6:7.0f}  "
            f"{report['open_ms']:7.2f}"
        )
    print(json.dumps({"minutes": arguments.minutes, "workers": arguments.workers, **reports}))


if __name__ == "__main__":
    main()
