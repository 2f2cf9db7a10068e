"""The process that starts the ranks of a fit, sees them to their end, and ends all when one fails.

It calculates nothing, so that it can answer while a rank waits for one that is gone.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from phoneme_lightning.training.ranks import ALONE, FOLDER, LIFELINE, PATIENCE_SECONDS, Ranks
from phoneme_lightning.training.run import TERMINATED, log_to, say

__all__ = ["run_ranks"]

PROGRAM = """
import sys
sys.argv[0] = "phoneme-cli"
from phoneme_lightning.entry import main
main()
"""

Processes = Sequence["subprocess.Popen[bytes]"]


def run_ranks(ranks: Ranks, words: Sequence[str], folder: Path) -> int:
    """Start the ranks of this machine, and wait until all have ended.

    Args:
        ranks: which there are.
        words: the command line, without the command.
        folder: the run's, which all of them are told.

    Returns:
        The exit code: of the first rank if it failed by itself, else of the one that did.

    Raises:
        SystemExit: SIGTERM has ended one of them, or this process.
    """
    if ranks.here < ranks.size and (meet := ranks.environment) is not None:
        say(
            f"{ranks.here} of {ranks.size} processes start here; all meet at "
            f"{meet.main_address}:{meet.main_port}"
        )
    with ExitStack() as files:
        said = [files.enter_context(tempfile.TemporaryFile()) for _ in range(ranks.here)]
        codes = _follow(ranks, words, folder, said)
        return _judge(ranks, codes, said)


def _follow(
    ranks: Ranks, words: Sequence[str], folder: Path, said: Sequence[IO[bytes]]
) -> list[int]:
    """Start the ranks and see them to their end.

    Returns:
        The exit codes; 0 where a rank went on when another had failed, and was ended.
    """
    processes: list[subprocess.Popen[bytes]] = []
    sentinel, lifeline = os.pipe()
    # Ctrl-C shall reach this process alone, which tells the others by SIGTERM.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for place, file in enumerate(said):
            processes.append(_start(ranks, place, words, folder, sentinel, file))
        signal.signal(signal.SIGINT, before)
        while not any(map(_code, processes)) and not _all_over(processes):
            time.sleep(0.05)
        _wait(processes)
        return [_code(process) for process in processes]
    finally:
        signal.signal(signal.SIGINT, before)
        _end(processes)
        os.close(sentinel)
        os.close(lifeline)
        if ranks.rank == 0:
            log_to(folder)


def _start(
    ranks: Ranks, place: int, words: Sequence[str], folder: Path, sentinel: int, said: IO[bytes]
) -> "subprocess.Popen[bytes]":
    assert ranks.environment is not None
    about = {
        "MASTER_ADDR": ranks.environment.main_address,
        "MASTER_PORT": str(ranks.environment.main_port),
        "NODE_RANK": str(ranks.environment.node_rank()),
        "WORLD_SIZE": str(ranks.size),
        "LOCAL_RANK": str(place),
        FOLDER: str(folder),
        LIFELINE: str(sentinel),
    }
    debug = ["--debug"] if "--debug" in sys.orig_argv else []
    is_first = ranks.rank + place == 0
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, *words, *debug],
        env={**os.environ, **about},
        pass_fds=[sentinel],
        stdout=None if is_first else subprocess.DEVNULL,
        stderr=None if is_first else said,
    )


def _judge(ranks: Ranks, codes: Sequence[int], said: Sequence[IO[bytes]]) -> int:
    """Say why the ranks have ended, unless the first has said so; give the exit code."""
    if TERMINATED in codes or -signal.SIGTERM in codes:
        raise SystemExit(TERMINATED)
    ended = [place for place, code in enumerate(codes) if code]
    failed = [place for place in ended if codes[place] != ALONE]
    if not ended:
        return 0
    place = failed[0] if failed else ended[-1]
    code, rank = codes[place], ranks.rank + place
    if code < 0:
        name = signal.Signals(-code).name
        say(f"rank {rank} of the fit's {ranks.size} was killed by {name}, so all have ended")
        return 128 - code
    if rank:
        said[place].seek(0)
        sys.stderr.write(said[place].read().decode(errors="replace"))
    return code


def _code(process: "subprocess.Popen[bytes]") -> int:
    return process.poll() or 0


def _all_over(processes: Processes) -> bool:
    return all(process.poll() is not None for process in processes)


def _wait(processes: Processes) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not _all_over(processes) and time.monotonic() < until:
        time.sleep(0.02)


def _end(processes: Processes) -> None:
    """Tell what still runs to leave; kill what hangs, as one may that waits for another."""
    for process in processes:
        process.terminate()
    _wait(processes)
    for process in processes:
        process.kill()
        process.wait()
