"""What the programs that compare speeds share: options, turns, processes, and tables.

No torch is imported here: a program's own process only hands out work and prints.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import Any

from phoneme_lightning.runtime import set_environment

__all__ = ["NETS", "Side", "all_sides", "finish", "options", "print_table", "take_turns"]

NETS = ("RNN", "CRNN", "CNN", "Transformer")


def options(doc: str | None, repetitions: int = 3) -> argparse.ArgumentParser:
    """Give a parser with what all these programs take.

    Args:
        doc: docstring of the program; its first line is shown.
        repetitions: turns that each contender has unless told otherwise.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="of the CPU"
    )
    parser.add_argument(
        "--repetitions", type=int, default=repetitions, help="turns of each contender"
    )
    parser.add_argument("--quick", action="store_true", help="a trial run: its figures mean little")
    return parser


class Side:
    """A process in which one side of a comparison runs, from the first measurement to the last.

    What a process sets for itself (how it takes memory, say) thus helps one side alone, and
    kernels and buffers that a first turn has made are there for the next.

    Args:
        threads: of the CPU.
        ours: set up as phoneme-cli does; otherwise as PyTorch comes.
        flush: take numbers too small for fp32's normal form for 0.
    """

    def __init__(self, threads: int, *, ours: bool, flush: bool = False) -> None:
        setting = (threads, ours, flush)
        self.executor = ProcessPoolExecutor(1, get_context("spawn"), _set_up, setting)

    def __call__(self, function: str, *arguments: Any) -> Any:
        """Call there a function, named "module:function", and give what it returns."""
        return self.executor.submit(_call, function, arguments).result()

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *error: object) -> None:
        self.executor.shutdown()


@contextmanager
def all_sides(given: argparse.Namespace) -> Iterator[dict[str, Side]]:
    """Give "ours", "theirs" and "flushed", theirs without denormal numbers, a process each.

    In a trial run one process does for all.

    Args:
        given: options of the program.
    """
    with ExitStack() as stack:
        ours = stack.enter_context(Side(given.threads, ours=True))
        if given.quick:
            yield dict.fromkeys(("ours", "theirs", "flushed"), ours)
        else:
            theirs = stack.enter_context(Side(given.threads, ours=False))
            flushed = stack.enter_context(Side(given.threads, ours=False, flush=True))
            yield {"ours": ours, "theirs": theirs, "flushed": flushed}


def _set_up(threads: int, ours: bool, flush: bool) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    if ours:
        set_environment()  # which must come before PyTorch
    import_module("fits").set_up(threads, flush=flush)


def _end_with_parent() -> None:
    """End this process with the program's, however that ends: a job left over would take cores."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _call(function: str, arguments: tuple[Any, ...]) -> Any:
    module, _, name = function.partition(":")
    return getattr(import_module(module), name)(*arguments)


def take_turns(contenders: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, float]:
    """Measure speeds in turns, so that what else the machine does falls on all.

    Args:
        contenders: each measures once, and gives a speed.
        repetitions: turns of each.

    Returns:
        The best speed of each.
    """
    best = dict.fromkeys(contenders, -math.inf)
    for _ in range(repetitions):
        for name, measure in contenders.items():
            speed = measure()
            best[name] = max(best[name], speed)
            print(f"{name}: {speed:,.4g}", file=sys.stderr)
    return best


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table, numbers rounded to four digits."""
    cells = [list(rows[0]), *([_shown(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)))


def finish(rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> None:
    """Print the rows as a table, and then the result as one line of JSON."""
    print_table(rows)
    print(json.dumps(result))


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
