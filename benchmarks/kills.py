"""Show that kills cost a round nothing but time.

A round is run in peace. Then it is run again by two drivers at once, while SIGKILL strikes at
random: one driver, both, a trial, or the server that trials are forked from. Whoever is dead is
started anew. In the end every figure of the leaderboard must be what it was in peace.

    python benchmarks/kills.py [--kills 40] [--seed 0] [--corpus data/spoken]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from phoneme_lightning.corpora.choose import choose_store

__all__ = ["main"]

CONFIG = """
model:
  backbone: {class_path: phoneme_lightning.models.RNN, init_args: {hidden_size: 64}}
data: {frames_per_batch: 3000}
trainer: {accelerator: cpu}
"""

ROUND = """
goal: {{question: "What do kills cost?"}}
base: [{config}]
overrides: {{data.corpus: {corpus}}}
budget: {{points: {points}, parallel: 2}}
training: {{steps: {steps}, evaluate_every: {every}}}
scientific: {{model.schedule: {{values: [constant, cosine]}}}}
nuisance:
  model.optimizer.init_args.lr: {{dist: log, low: 1e-3, high: 1e-2}}
retry: {{backoff: 0.1s, attempts: 1000}}
storage: {{beat: 1s, grace: 5s}}
tracking: {{wandb: disabled}}
"""

SWEEP = Path(sys.executable).with_name("phoneme-sweep")


def table(root: Path) -> list[list[Any]]:
    """Give what a round found, in the order of the trials' names."""
    command = [SWEEP, "leaderboard", "kills", "--json", "--root", root]
    rows = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return sorted([row["trial"], row["state"], row["best"], row["final"]] for row in rows)


def children(pid: int) -> list[int]:
    """Give the processes that a process has started, and theirs (Linux)."""
    with suppress(OSError):
        mine = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [found for child in map(int, mine) for found in (child, *children(child))]
    return []


def kill(drivers: list["subprocess.Popen[bytes]"], draw: random.Random) -> str:
    """Kill one driver, both, or something that one of them has started."""
    what = draw.choice(["a driver", "both drivers", "a trial or its server"])
    first, second = draw.sample(drivers, 2)
    below = children(first.pid)
    if what == "a trial or its server" and below:
        with suppress(ProcessLookupError):
            os.kill(draw.choice(below), signal.SIGKILL)
        return what
    for driver in (first, second) if what == "both drivers" else (first,):
        driver.kill()
        driver.wait()
    return "both drivers" if what == "both drivers" else "a driver"


def main() -> None:
    """Print how it went, and a line of JSON; leave with 1 where a figure differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of when and whom")
    parser.add_argument("--points", type=int, default=10, help="of each of the two arms")
    parser.add_argument("--steps", type=int, default=120, help="of a trial")
    parser.add_argument("--corpus", type=Path, default=Path("data/spoken"), help="its frame store")
    given = parser.parse_args()
    corpus = choose_store(given.corpus.name, given.corpus.parent).resolve()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "kills.yaml").write_text(
            ROUND.format(
                config=place / "config.yaml",
                corpus=corpus,
                points=given.points,
                steps=given.steps,
                every=max(1, given.steps // 8),
            ),
            encoding="utf-8",
        )
        (place / "config.yaml").write_text(CONFIG, encoding="utf-8")

        def start(root: str) -> "subprocess.Popen[bytes]":
            command = [SWEEP, "run", place / "kills.yaml", "--root", place / root]
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        begun = time.monotonic()
        assert start("quiet").wait() == 0
        quiet_seconds = time.monotonic() - begun
        drivers = [start("killed"), start("killed")]
        struck: Counter[str] = Counter()
        while struck.total() < given.kills:
            time.sleep(draw.uniform(1, 10))
            drivers = [d if d.poll() is None else start("killed") for d in drivers]
            if _is_over(place / "killed", 2 * given.points):
                break
            struck[kill(drivers, draw)] += 1
            print(f"\r{struck.total()} kills", end="", flush=True)
        for driver in drivers:
            driver.wait()
        assert start("killed").wait() == 0
        attempts = list((place / "killed").glob("kills/trials/*/attempt-*"))
        outcomes = list((place / "killed").glob("kills/trials/*/attempt-*/outcome.json"))
        quiet, killed = table(place / "quiet"), table(place / "killed")
    differing = [pair for pair in zip(quiet, killed, strict=True) if pair[0] != pair[1]]
    result = {
        "kills": struck.total(),
        **struck,
        "trials": len(quiet),
        "attempts": len(attempts),
        "outcomes": len(outcomes),
        "quiet_seconds": round(quiet_seconds),
        "figures_that_differ": len(differing),
    }
    print("\r" + ", ".join(f"{key} {value}" for key, value in result.items()))
    print(json.dumps(result))
    sys.exit(bool(differing))


def _is_over(root: Path, trials: int) -> bool:
    return trials == len(list(root.glob("kills/trials/*/attempt-*/outcome.json")))


if __name__ == "__main__":
    main()
