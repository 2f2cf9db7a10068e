"""Show that workers who share a round's journal lose no trial and do none twice, and how fast.

A round of trivial trials is worked off by several processes at once, in a temporary folder. Each
trial is enqueued, claimed, and finished with a measured value in its folder, as a driver does it;
only the fit is missing. Every step is on the disk before the next begins, so that what is measured
is mostly the disk.

    python benchmarks/ledger.py [--workers 8] [--trials 1000]
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from optuna.trial import TrialState

from phoneme_lightning.sweep.design import Row, read_design, write_design
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.records import read_record
from phoneme_lightning.sweep.round import Budget, Goal, Round, Training
from phoneme_lightning.sweep.spaces import Log
from phoneme_lightning.training.outcome import Outcome, write_outcome

__all__ = ["main"]

LEARNING_RATE = Log(1e-4, 1e-1)


def make_round(points: int) -> Round:
    """Give a round of one arm."""
    return Round(
        goal=Goal("How fast is the queue?"),
        base=[],
        budget=Budget(points=points),
        training=Training(steps=1, evaluate_every=1),
        name="trivial",
        nuisance={"lr": LEARNING_RATE},
    )


def make_rows(count: int) -> list[Row]:
    """Give the trials of such a round."""
    return [
        Row(f"p{point:05}-all-s0", "all", point, 0, {"lr": LEARNING_RATE.at(point / 1e6)})
        for point in range(count)
    ]


def finish_next(ledger: Ledger, rows: Mapping[str, Row]) -> bool:
    """Claim a trial and finish it, its files included; say whether there was one."""
    if not (claim := ledger.claim()):
        return False
    folder, round = ledger.folder, ledger.round
    path = folder.attempt(claim.trial, claim.attempt)
    path.mkdir(parents=True)
    (path / "metrics.csv").write_text(f"step,{round.objective.metric}\n1,0.5\n")
    write_outcome(path, Outcome("completed"))
    row = rows[claim.trial]
    ledger.finish(claim, read_record(folder, row, round.objective, round.retry.attempts))
    return True


def work(folder: RoundFolder, round: Round) -> None:
    """Claim and finish trials until none waits."""
    ledger = Ledger(folder, round)
    rows = {row.trial: row for row in read_design(folder.design)}
    while finish_next(ledger, rows):
        pass


def main() -> None:
    """Time it, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=8, help="processes (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=1000, help="(default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = RoundFolder(Path(place) / "trivial")
        folder.trials.mkdir(parents=True)
        trivial = make_round(options.trials)
        rows = make_rows(options.trials)
        write_design(folder.design, rows)
        start = time.perf_counter()
        Ledger(folder, trivial).enqueue(rows)
        enqueued = time.perf_counter()
        fork = multiprocessing.get_context("fork")
        workers = [
            fork.Process(target=work, args=(folder, trivial)) for _ in range(options.workers)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        end = time.perf_counter()
        study = Ledger(folder, trivial).study
        done = Counter(
            trial.user_attrs["trial"] for trial in study.get_trials(states=(TrialState.COMPLETE,))
        )
        result = {
            "workers": options.workers,
            "trials": options.trials,
            "enqueue_seconds": round(enqueued - start, 2),
            "work_seconds": round(end - enqueued, 2),
            "lost": sum(row.trial not in done for row in rows),
            "done_twice": sum(count > 1 for count in done.values()),
            "journal_bytes": folder.journal.stat().st_size,
        }
    for name, value in result.items():
        print(f"{name:16} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
