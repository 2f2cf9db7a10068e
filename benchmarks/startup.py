"""Show how soon each command answers, and how soon a fit trains.

Every command runs in a plain process of its own, in turns, on a tiny random store made in a
temporary folder; a fit trains a small recurrent net for one step. Its first batch is ready when
Lightning hands it to the first training step. Which of the heavy libraries a command loads is
asked of Python in a run of its own.

    python benchmarks/startup.py [--times 5] [--quick]
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from memory import make_random_store
from timing import finish

__all__ = ["main"]

HERE = Path(__file__).parent
ROUND = HERE.parent / "results" / "rounds" / "lr_round1"
HEAVY = ("torch", "lightning", "wandb", "matplotlib")
QUICK = ("phoneme-cli --help", "phoneme-sweep status", "phoneme-cli fit, one step")


def commands(place: Path) -> dict[str, list[str]]:
    """Give what is measured: name -> words of a command line for Python.

    Args:
        place: a folder with the store `store` and the round `rounds/lr_round1`.
    """
    program = {
        name: str(Path(sys.executable).with_name(f"phoneme-{name}"))
        for name in ("cli", "data", "sweep")
    }
    settings = {
        "data.corpus": place / "store",
        "data.frames_per_batch": 400,
        "model.backbone": "phoneme_lightning.models.RNN",
        "model.backbone.init_args.hidden_size": 16,
        "trainer.accelerator": "cpu",
        "trainer.max_steps": 1,
        "trainer.val_check_interval": 1,
        "trainer.callbacks": "launch.WriteTime",
        "trainer.callbacks.init_args.file": "mark",
        "run.folder": "run",
    }
    fit = [program["cli"], "fit", *(f"--{key}={value}" for key, value in settings.items())]
    return {
        "import torch": ["-c", "import torch"],
        "import lightning.pytorch": ["-c", "import lightning.pytorch"],
        "phoneme-sweep --help": [program["sweep"], "--help"],
        "phoneme-data --help": [program["data"], "--help"],
        "phoneme-cli --help": [program["cli"], "--help"],
        "phoneme-cli, mistyped": [program["cli"], "fitt"],
        "phoneme-data info": [program["data"], "info", str(place / "store")],
        "phoneme-sweep status": [
            *(program["sweep"], "status", ROUND.name, "--root", str(place / "rounds"))
        ],
        "phoneme-cli info": [program["cli"], "info"],
        "phoneme-cli fit --help": [program["cli"], "fit", "--help"],
        "phoneme-cli fit, unknown key": [program["cli"], "fit", "--trainer.max_stepss=1"],
        "phoneme-cli fit, one step": [*fit, "--wandb.mode=disabled"],
        "phoneme-cli fit, W&B offline": [*fit, "--wandb.mode=offline"],
    }


def run(words: list[str], *options: str) -> tuple[dict[str, float], str]:
    """Run a command once, in a folder of its own.

    Args:
        words: as `commands` gives them.
        options: of Python.

    Returns:
        Seconds to the end of the process and, of a fit, to its first batch; what it said on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        begun = time.time()
        done = subprocess.run(
            [sys.executable, *options, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(HERE)},  # for `launch`
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        seconds = {"end": time.time() - begun}
        mark = Path(folder, "mark")
        if mark.exists():
            seconds["first_batch"] = float(mark.read_text("utf-8")) - begun
    if done.returncode not in (0, 2):  # 2 is a mistake's, some of which are measured
        raise SystemExit(done.stderr)
    return seconds, done.stderr


def loaded(said: str) -> list[str]:
    """Give which of the heavy libraries were loaded, by what Python's `-X importtime` said."""
    names = re.findall(r"^import time:.*\| +(\w+)$", said, re.MULTILINE)
    return [library for library in HEAVY if library in names]


def main() -> None:
    """Print a row a command, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="that each is measured")
    parser.add_argument(
        "--quick", action="store_true", help="a trial run of some: its figures mean little"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_random_store(place / "store", utterances=20, mean_frames=200)
        shutil.copytree(ROUND, place / "rounds" / ROUND.name)
        every = commands(place)
        if given.quick:
            every = {name: words for name, words in every.items() if name in QUICK}
        found, seen = {}, {}
        for name, words in every.items():
            seconds, said = run(words, "-X", "importtime")  # which warms up the files, too
            found[name], seen[name] = loaded(said), [seconds] if given.quick else []
        for _ in range(0 if given.quick else given.times):
            for name, words in every.items():
                seen[name].append(run(words)[0])
    result: dict[str, dict[str, Any]] = {}
    for name, runs in seen.items():
        result[name] = {
            f"{what}_seconds": {
                "best": round(min(one[what] for one in runs), 3),
                "median": round(statistics.median(one[what] for one in runs), 3),
            }
            for what in runs[0]
        }
        result[name]["loads"] = found[name]
    rows = [
        {
            "command": name,
            "best, s": one["end_seconds"]["best"],
            "median": one["end_seconds"]["median"],
            "first batch": one.get("first_batch_seconds", {}).get("best"),
            **{library: "yes" if library in one["loads"] else "no" for library in HEAVY},
        }
        for name, one in result.items()
    ]
    finish(rows, result)


if __name__ == "__main__":
    main()
