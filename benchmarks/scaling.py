"""Show how many workers a round's queue can serve: measured first, then simulated.

Measured, in a temporary folder or database, by one worker who does nothing else, for a trial (its
claim and its end), for a sign of life, and for a look for dead workers while 200 trials run:

own      the worker's own CPU time: it reads what waits, and decides
shared   the time for which it keeps others out: that of the journal's lock, or the CPU time of
         the processes of PostgreSQL that serve the database, which must be on this machine
lines    that it writes into a journal, each of which every other worker reads

Simulated: workers that train for so long a trial, give a sign of life every 30 s, and of whom one
looks for dead ones every 15 s, while somebody follows who reads the round every 2 s. A claim and
each such reading reads all trials that run, a look does so twice. Who needs the shared part waits
for one of its lanes: the journal has one, a server here as many as cores. Left out are the way to a
server, and the end of a round, when workers without a trial look for one every 4 s.
What is told is the share of their time in which workers train. A disk that machines share takes
longer to write than the one that is measured: `--disk-ms` is assumed for each line on it.

    python benchmarks/scaling.py [--storage env:STUDY] [--trials 1000 10000] [--disk-ms 10]
"""

import argparse
import heapq
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from ledger import finish_next, make_round, make_rows
from timing import print_table

from phoneme_lightning.sweep.design import write_design
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.following import LOOK_SECONDS
from phoneme_lightning.sweep.journal_lock import JournalLock
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.round import BEAT, Storage
from phoneme_lightning.sweep.storage import show_url

__all__ = ["main", "simulate"]

REPETITIONS = 50
WORKERS = (10, 100, 1_000, 10_000)
TRIAL_SECONDS = (60, 600, 3_600)
RUNNING = 200
"""Trials that run while a look is measured."""

TURNS = 3
"""Trials of a worker that are simulated."""


@contextmanager
def _timed_lock() -> Iterator[Callable[[], float]]:
    """Count the seconds for which this process holds a journal's lock."""
    held, since = 0.0, 0.0
    acquire, release = JournalLock.acquire, JournalLock.release

    def take(lock: JournalLock) -> bool:
        nonlocal since
        taken, since = acquire(lock), time.perf_counter()
        return taken

    def leave(lock: JournalLock) -> None:
        nonlocal held
        held += time.perf_counter() - since
        release(lock)

    JournalLock.acquire, JournalLock.release = take, leave  # type: ignore[method-assign]
    try:
        yield lambda: held
    finally:
        JournalLock.acquire, JournalLock.release = acquire, release  # type: ignore[method-assign]


def _server_seconds(database: str) -> float:
    """Give the CPU time of PostgreSQL's processes on this machine that serve a database."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = (process / "cmdline").read_bytes().decode(errors="replace")
            if title.startswith("postgres:") and f" {database} " in title:
                told = (process / "stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, told[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _cost(
    act: Callable[[], object], shared: Callable[[], float], journal: Path
) -> dict[str, float]:
    lines = _count_lines(journal)
    own, others = time.process_time(), shared()
    for _ in range(REPETITIONS):
        act()
    return {
        "own ms": 1000 * (time.process_time() - own) / REPETITIONS,
        "shared ms": 1000 * (shared() - others) / REPETITIONS,
        "lines": (_count_lines(journal) - lines) / REPETITIONS,
    }


def _look(ledger: Ledger, shared: Callable[[], float]) -> dict[str, float]:
    """Give what a look costs while so many trials run, but for what it costs while none does."""
    cost = partial(_cost, ledger.reap, shared, ledger.folder.journal)
    before = cost()
    for _ in range(RUNNING):
        ledger.claim()
    after = cost()
    return {key: after[key] - before[key] for key in ("own ms", "shared ms")}


def _count_lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def measure(url: str, trials: int) -> dict[str, float]:
    """Give what a trial and a sign of life cost, in a round of so many trials."""
    with tempfile.TemporaryDirectory() as place, _timed_lock() as lock_seconds:
        database = "" if url == "journal" else show_url(url).rpartition("/")[2]
        shared = partial(_server_seconds, database) if database else lock_seconds
        name = f"scaling-{time.time_ns()}"  # a database may hold an earlier one
        folder = RoundFolder(Path(place) / name)
        folder.trials.mkdir(parents=True)
        round = replace(make_round(trials), name=name, storage=Storage(url=url))
        rows = make_rows(trials)
        write_design(folder.design, rows)
        start = time.perf_counter()
        ledger = Ledger(folder, round)
        ledger.enqueue(rows)
        enqueued = time.perf_counter() - start
        claim = ledger.claim()
        assert claim is not None
        beat = _cost(partial(ledger.beat, claim), shared, folder.journal)
        named = {row.trial: row for row in rows}
        trial = _cost(partial(finish_next, ledger, named), shared, folder.journal)
        look = _look(ledger, shared)
        start = time.process_time()
        Ledger(folder, round).states()
        opened, lines = time.process_time() - start, _count_lines(folder.journal)
        told = {
            "enqueue s": enqueued,
            **{f"trial {key}": value for key, value in trial.items()},
            **{f"beat {key}": value for key, value in beat.items()},
            **{f"look {key}": value for key, value in look.items()},
            "line us": 1e6 * opened / lines if lines else 0.0,
        }
    return {key: round_to(value) for key, value in told.items()}


def round_to(value: float) -> float:
    """Round to three digits."""
    return float(f"{value:.3g}")


def simulate(workers: int, trial_seconds: float, cost: dict[str, float], lanes: int) -> float:
    """Give the share of the workers' time in which they train.

    Args:
        workers: how many; they begin within a minute.
        trial_seconds: what a fit takes, give or take a tenth.
        cost: as `measure` gives it; half of a trial's is its claim, half its end.
        lanes: of the shared part.
    """
    draw = random.Random(0)
    beats = trial_seconds / BEAT
    heard = workers * (cost["trial lines"] + beats * cost["beat lines"]) * cost["line us"] / 1e6
    read_own, read_shared = (
        max(cost[f"look {part} ms"], 0) / 2 * workers / RUNNING for part in ("own", "shared")
    )
    own = (cost["trial own ms"] + read_own + beats * cost["beat own ms"]) / 1000 + heard
    free = [0.0] * lanes
    look_at, readings = 0.0, 2 + BEAT / 2 / LOOK_SECONDS
    # (when, worker, turn, what is left of the fit); below 0: it has no trial yet, 0: it has ended.
    events = [(draw.uniform(0, 60), worker, 0, -1.0) for worker in range(workers)]
    began = [when for when, *_ in events]
    trained = spent = 0.0
    heapq.heapify(events)
    while events:
        now, worker, turn, left = heapq.heappop(events)
        while look_at <= now:
            looked = max(look_at, heapq.heappop(free)) + readings * read_shared / 1000
            heapq.heappush(free, looked)
            look_at = max(look_at + BEAT / 2, looked)
        lasts = cost["beat shared ms"] if left > 0 else cost["trial shared ms"] / 2
        lasts += read_shared if left < 0 else 0
        served = max(now, heapq.heappop(free)) + lasts / 1000
        heapq.heappush(free, served)
        if left == 0:
            if turn + 1 < TURNS:
                heapq.heappush(events, (served, worker, turn + 1, -1.0))
            spent += served - began[worker]
            began[worker] = served
            continue
        if left < 0:
            left = trial_seconds * draw.uniform(0.9, 1.1)
            trained += left
            now = served + own
        step = min(left, BEAT)  # the fit goes on while its worker waits to give a sign of life
        heapq.heappush(events, (now + step, worker, turn, left - step))
    return trained / spent


def main() -> None:
    """Measure and simulate; print tables and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storage", nargs="*", default=[], help="databases, beside the journal")
    parser.add_argument("--trials", nargs="+", type=int, default=[1_000, 10_000])
    parser.add_argument("--disk-ms", type=float, default=10, help="(default: %(default)s)")
    options = parser.parse_args()
    rows, shares = [], []
    for url in ("journal", *options.storage):
        kind = url if url == "journal" else show_url(url).split("+")[0]
        lanes = 1 if url == "journal" else os.cpu_count() or 1
        for trials in options.trials:
            cost = measure(url, trials)
            rows.append({"storage": kind, "trials": trials, **cost})
            costs = {kind: cost}
            if url == "journal":
                slow = {
                    key: cost[key] + options.disk_ms * cost[f"{key.split()[0]} lines"]
                    for key in ("trial shared ms", "beat shared ms")
                }
                costs[f"journal, {options.disk_ms:g} ms a line"] = cost | slow
            for (name, each), seconds in itertools.product(costs.items(), TRIAL_SECONDS):
                told = {
                    f"{count:,}": round_to(simulate(count, seconds, each, lanes))
                    for count in WORKERS
                }
                shares.append({"storage": name, "waiting": trials, "trial s": seconds, **told})
    print_table(rows)
    print_table(shares)
    print(json.dumps({"lanes": os.cpu_count(), "rows": rows, "shares": shares}))


if __name__ == "__main__":
    main()
