"""Show that a cluster's mishaps cost a round nothing but time.

A round of short trials is run by workers in SLURM, its study in PostgreSQL, both started here by
what the tests start them by: as many nodes as workers on this one machine. On the way a node dies,
a worker is told that its time is over, another is put back into the queue, and the database
crashes and comes back. Then the same round is run by one quiet worker, with a journal, and the
two tables are compared.

    python benchmarks/cluster.py [--points 32] [--workers 8]

It needs data/spoken (`phoneme-data prepare spoken`), SLURM and PostgreSQL (`make test-cluster`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/cluster"))

import postgres  # noqa: E402
import slurm  # noqa: E402

__all__ = ["main"]

EARLY_LINES = 6
"""Of metrics.csv, which has some 22 at the end of a trial."""

CONFIG = """
seed_everything: 0
model:
  backbone:
    class_path: phoneme_lightning.models.RNN
    init_args: {hidden_size: 16, num_layers: 1}
  optimizer: {class_path: torch.optim.AdamW}
data: {corpus: spoken, frames_per_batch: 2000}
trainer: {accelerator: cpu, precision: 32-true}
"""

ROUND = """
goal: {{question: "Does a decay help?", kind: try a change}}
base: [configs/tiny.yaml]
budget: {{points: {points}}}
training: {{steps: 120, evaluate_every: 12}}
scientific:
  model.schedule: {{values: [constant, cosine]}}
nuisance:
  model.optimizer.init_args.lr: {{dist: log, low: 1e-3, high: 3e-2}}
retry: {{backoff: 1s}}
storage: {{beat: 2s, grace: 60s}}
tracking: {{wandb: disabled}}
executor: {{array: {workers}}}
"""


def _sweep(place: Path, *words: str) -> "subprocess.Popen[str]":
    program = Path(sys.executable).with_name("phoneme-sweep")
    return subprocess.Popen(
        [str(program), *words],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(place: Path, *words: str) -> str:
    process = _sweep(place, *words)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def _table(place: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(_run(place, "leaderboard", name, "--json"))
    return rows


def _at_work(trials: Path) -> dict[str, str]:
    """Give the node of each job that has begun a trial and will not end it in a moment."""
    found = {}
    for file in trials.glob("*/*/attempt.json"):
        told = json.loads(file.read_text())
        if told["ended"] or file.with_name("outcome.json").exists():
            continue
        with suppress(OSError):  # it has not come so far, or it died with its node
            if len(file.with_name("metrics.csv").read_text().splitlines()) > EARLY_LINES:
                continue
            text = Path(f"/proc/{told['worker'].split(':')[1]}/environ").read_text()
            job = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
            name = f"{job['SLURM_ARRAY_JOB_ID']}_{job['SLURM_ARRAY_TASK_ID']}"
            found[name] = job["SLURMD_NODENAME"]
    return found


def mishaps(
    cluster: "slurm.Cluster", server: "postgres.Server"
) -> list[tuple[str, Callable[[str, str], object]]]:
    """Give what goes wrong, in its order, each for a job and its node."""

    def crash(job: str, node: str) -> None:
        server.stop("immediate")
        time.sleep(5)
        server.start()

    return [
        ("a node dies", lambda job, node: cluster.kill_node(node)),
        (
            "a worker's time is over",
            lambda job, node: cluster.run("scancel", "--batch", "--signal=USR1", job),
        ),
        ("the database crashes", crash),
        (
            "a worker is put back into the queue",
            lambda job, node: cluster.run("scontrol", "requeue", job),
        ),
    ]


def work(place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the round twice; give what became of it."""
    with slurm.Cluster(options.workers) as cluster:
        server = postgres.Server()
        try:
            server.run("create database studies")
            os.environ |= {**cluster.environment, "STUDY": server.url("studies")}
            start = time.perf_counter()
            words = ("--executor", "slurm", "--storage", "env:STUDY")
            driver = _sweep(place, "run", "sweeps/busy.yaml", *words)
            trials, did = place / "runs/rounds/busy/trials", []
            for number, (name, happen) in enumerate(mishaps(cluster, server), 1):
                wanted = number * 2 * options.points // 6
                found: dict[str, str] = {}
                while driver.poll() is None and not found:
                    time.sleep(0.05)
                    if len(list(trials.glob("*/*/outcome.json"))) >= wanted:
                        found = _at_work(trials)
                if found:
                    happen(*next(iter(found.items())))
                    did.append(name)
                    print(
                        f"{len(list(trials.glob('*/*/outcome.json')))} trials ended: {name}",
                        flush=True,
                    )
            said, _ = driver.communicate()
            seconds = time.perf_counter() - start
            assert driver.returncode == 0, said
            busy = _table(place, "busy")
        finally:
            server.close()
    _run(place, "run", "sweeps/quiet.yaml", "--parallel", "1")
    files = list(trials.glob("*/*/attempt.json"))
    attempts = [json.loads(file.read_text()) for file in files]
    # One whose fit had ended before its worker could say so was not cut off.
    died = [
        one["ended"] is None and not file.with_name("outcome.json").exists()
        for file, one in zip(files, attempts, strict=True)
    ]
    causes = Counter(str(one["interrupted"]) for one in attempts if one["interrupted"])
    return {
        "workers": options.workers,
        "trials": len(busy),
        "mishaps": did,
        "attempts": len(attempts),
        "died with their node": sum(died),
        "interrupted": dict(causes),
        "seconds": round(seconds, 1),
        "differing rows": sum(a != b for a, b in zip(busy, _table(place, "quiet"), strict=True)),
    }


def main() -> None:
    """Compare the two, and print what became of it and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=32, help="for each of two arms")
    parser.add_argument("--workers", type=int, default=8, help="(default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "data").symlink_to(Path("data").resolve())
        for name in ("configs", "sweeps"):
            (place / name).mkdir()
        (place / "configs/tiny.yaml").write_text(CONFIG)
        for name in ("busy", "quiet"):
            (place / f"sweeps/{name}.yaml").write_text(ROUND.format(**vars(options)))
        result = work(place, options)
    for name, value in result.items():
        print(f"{name:22} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
