"""Run a benchmark and keep what it found, beside the command and the machine that found it.

    python benchmarks/keep.py NAME [ARGUMENTS]

runs benchmarks/NAME.py and writes benchmarks/results/NAME.json. No host name goes there, and of a
path only its last part.
"""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("phoneme-lightning", "torch", "numpy", "lightning", "kaldi-native-fbank")


def cpu_model() -> str:
    """Give the processor's name as Linux knows it, else as Python does."""
    file = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*: (.*)", file.read_text(), re.MULTILINE)
        if file.is_file()
        else None
    )
    return found[1] if found else platform.processor()


def keep(name: str, arguments: list[str]) -> None:
    """Run benchmarks/<name>.py; what it prints last is one line of JSON, which is kept."""
    load = os.getloadavg()[0]
    program = HERE / f"{name}.py"
    done = subprocess.run(
        [sys.executable, str(program), *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    print(done.stdout, end="")
    shown = [Path(word).name if "/" in word else word for word in arguments]
    record = {
        "command": shlex.join(["python", f"benchmarks/{program.name}", *shown]),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)),
        "load_average_before": round(load, 2),
        "result": json.loads(done.stdout.splitlines()[-1]),
    }
    file = HERE / "results" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    keep(sys.argv[1], sys.argv[2:])
