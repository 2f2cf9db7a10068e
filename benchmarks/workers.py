"""Show what trials side by side gain, and what the harness adds to a trial.

One round of equal trials on the built-in corpus, W&B off, is run twice: one trial at a time, then
as many at once as there are cores, a thread each. The time runs from the first trial's start to the
last one's end, and holds the warm-up of the process that trials are forked from. What the harness
adds is what lies between the ends of two trials that follow each other, one at a time, when the
time that the second took by its own count is taken away.

    python benchmarks/workers.py [--steps 150] [--trials 8] [--corpus data/spoken]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from phoneme_lightning.corpora.choose import choose_store

__all__ = ["main", "run_round"]

CONFIG = """
model:
  backbone: {class_path: phoneme_lightning.models.RNN, init_args: {hidden_size: 128}}
data: {frames_per_batch: 3000}
trainer: {accelerator: cpu}
"""

ROUND = """
goal: {{question: "How long do trials take?"}}
base: [{config}]
overrides: {{data.corpus: {corpus}}}
budget: {{points: {trials}}}
training: {{steps: {steps}, evaluate_every: {every}}}
nuisance:
  model.optimizer.init_args.lr: {{dist: log, low: 1e-3, high: 2e-3}}
executor: {{kind: {kind}}}
tracking: {{wandb: disabled}}
"""


def run_round(place: Path, name: str, parallel: int, **settings: Any) -> dict[str, float]:
    """Run a round and measure it.

    Args:
        place: folder to work in.
        name: of the round.
        parallel: trials at once.
        settings: corpus, trials, steps and kind (fork or subprocess).

    Returns:
        Seconds from the first start to the last end; seconds of the fits; with one trial at a
        time, the median of what the harness adds to one.
    """
    config = place / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    file = place / f"{name}.yaml"
    every = settings["steps"] // 3
    file.write_text(ROUND.format(config=config, every=every, **settings), encoding="utf-8")
    command = [Path(sys.executable).with_name("phoneme-sweep"), "run", file]
    command += ["--parallel", str(parallel), "--root", place / "rounds"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    attempts = list((place / "rounds" / name / "trials").glob("*/attempt-1"))
    facts = [json.loads((attempt / "attempt.json").read_text("utf-8")) for attempt in attempts]
    ends = [json.loads((attempt / "outcome.json").read_text("utf-8")) for attempt in attempts]
    spans = sorted(
        (datetime.fromisoformat(fact["ended"]), fit["seconds"])
        for fact, fit in zip(facts, ends, strict=True)
    )
    start = min(datetime.fromisoformat(fact["started"]) for fact in facts)
    measured = {
        "wall_seconds": round((spans[-1][0] - start).total_seconds(), 2),
        "fit_seconds": round(sum(seconds for _, seconds in spans), 2),
    }
    if parallel == 1:
        added = [
            (end - before).total_seconds() - seconds
            for (before, _), (end, seconds) in pairwise(spans)
        ]
        measured["harness_seconds_a_trial"] = round(median(added), 3)
    return measured


def main() -> None:
    """Print a row a run, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150, help="of a trial")
    parser.add_argument("--trials", type=int, default=8, help="of the round")
    parser.add_argument("--corpus", type=Path, default=Path("data/spoken"), help="its frame store")
    given = parser.parse_args()
    corpus = choose_store(given.corpus.name, given.corpus.parent).resolve()
    cores = len(os.sched_getaffinity(0))
    result: dict[str, Any] = {"trials": given.trials, "steps": given.steps}
    for parallel in (1, cores):
        with tempfile.TemporaryDirectory() as place:
            settings = {"corpus": corpus, "trials": given.trials, "steps": given.steps}
            measured = run_round(Path(place), "bench", parallel, kind="fork", **settings)
        print(f"{parallel} at once: " + ", ".join(f"{k} {v}" for k, v in measured.items()))
        result[f"parallel_{parallel}"] = measured
    one, all_ = result["parallel_1"], result[f"parallel_{cores}"]
    result["cores"] = cores
    result["times_as_fast"] = round(one["wall_seconds"] / all_["wall_seconds"], 2)
    print(f"{cores} at once are {result['times_as_fast']} times as fast as one at a time")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
