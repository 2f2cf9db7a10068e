"""Measures batch sizes one after the other, each in a process that may run out of memory."""

import json
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.attempt import last_lines
from phoneme_lightning.sweep.keys import flatten, nested
from phoneme_lightning.sweep.launch import Job, Launcher, make_launcher
from phoneme_lightning.sweep.machine import count_cores, list_gpus
from phoneme_lightning.sweep.memory import OomWatch, oom_counter
from phoneme_lightning.sweep.probes.batch import ENOUGH, KEY, Size
from phoneme_lightning.sweep.probes.subject import Subject
from phoneme_lightning.sweep.yaml12 import dump_yaml
from phoneme_lightning.training.outcome import read_outcome

__all__ = ["Measured", "candidates", "has_settled", "measure_sizes", "too_much_memory"]

BELOW = 3
"""Sizes below the one that is set: an eighth of it is the smallest."""
SHARE_OF_MEMORY = 0.5
"""Of a CPU's memory that is free, which a batch may be expected to take."""
WARMUP_STEPS = 2
MANY_STEPS = 1_000_000
"""The meter ends a measurement, not its length."""
WAIT_SECONDS = 1.0
METER = "phoneme_lightning.sweep.probes.meter.Meter"


class _OutOfMemory(Exception):
    """A size does not fit into memory."""


@dataclass(frozen=True)
class Measured:
    """What was measured."""

    sizes: list[Size]
    """The smallest first."""

    ended: str
    """Why no larger one was measured."""

    out_of_memory: bool
    """Whether that was memory."""


def measure_sizes(
    subject: Subject, folder: Path, seconds: float, threads: int | None, most: int | None
) -> Measured:
    """Measure one size after the other until memory, the corpus or patience ends.

    A GPU's memory is filled up. On a CPU it stops before it takes memory from whatever else runs
    there, and when throughput has not risen over the last two doublings.

    Args:
        subject: what is probed.
        folder: of the measurements, a folder a size.
        seconds: to measure each for.
        threads: CPU threads; as many as a fit here would take if None.
        most: largest size, in frames.

    Raises:
        InputError: the smallest does not fit, or one cannot be measured.
    """
    if threads is not None and threads < 1:
        raise InputError(f"--threads is {threads}: give at least 1")
    sizes: list[Size] = []
    on_gpu, free = _uses_gpu(subject), _free_memory()
    threads = threads or subject.threads or int(os.environ.get("OMP_NUM_THREADS", count_cores()))
    tried = candidates(int(subject.number(KEY)), subject.training_lengths(), most)
    launcher = make_launcher("subprocess")
    try:
        for frames in tried:
            if not on_gpu and too_much_memory(sizes, free):
                return Measured(sizes, f"{frames:,} may take half of the memory", True)
            if not on_gpu and has_settled(sizes):
                return Measured(sizes, "two doublings brought no more", False)
            into = folder / str(frames)
            try:
                size = _measure(subject, frames, seconds, threads, into, launcher)
            except _OutOfMemory:
                print(f"{frames:>9,} frames a batch: out of memory", flush=True)
                if not sizes:
                    raise InputError(
                        f"{frames} frames a batch do not fit into memory: take a smaller model, or "
                        f"--set {KEY}=... to begin lower"
                    ) from None
                return Measured(sizes, f"{frames:,} were out of memory", True)
            print(
                f"{frames:>9,} frames a batch: {size.frames_per_second:,.0f} frames/s, "
                f"{1 / size.seconds_a_step:.3g} steps/s, "
                f"{size.seconds_a_step:.3g} s a step, {100 * size.wait_share:.0f} % of it waiting, "
                f"{size.peak_bytes / 2**30:.2f} GiB",
                flush=True,
            )
            sizes.append(size)
    finally:
        launcher.close()
    return Measured(sizes, "--most" if most else "the training set is one batch", False)


def candidates(now: int, lengths: list[int], most: int | None) -> list[int]:
    """Give the sizes to measure: powers of two times the one that is set.

    They begin at an eighth of it, but no lower than an utterance is long, and end where the whole
    training set is one batch.

    Args:
        now: the size that is set, in frames.
        lengths: frames of each utterance of the training set.
        most: largest size to give.

    Raises:
        InputError: that leaves none.
    """
    highest = min(sum(lengths), most or sum(lengths))
    sizes = [now * 2**power // 2**BELOW for power in range(64)]
    fit = [size for size in sizes if sum(lengths) / len(lengths) <= size <= highest]
    if not fit:
        raise InputError(
            f"no size can be measured from {now} / 8 up to {highest} frames: give a larger --most, "
            f"or another size by --set {KEY}=..."
        )
    return fit


def _uses_gpu(subject: Subject) -> bool:
    """Tell whether a fit here would use a GPU."""
    return subject.get("trainer.accelerator", "auto") != "cpu" and bool(list_gpus())


def too_much_memory(sizes: Sequence[Size], free: int) -> bool:
    """Tell whether the next size, twice the last, may take more than half of a CPU's free memory.

    It would go far before the kernel stopped it, at the cost of whatever else runs there.

    Args:
        sizes: measured so far.
        free: bytes.
    """
    if len(sizes) < 2:
        return False
    last, before = sizes[-1], sizes[-2]
    more = max(0, last.peak_bytes - before.peak_bytes)
    growth = last.frames / (last.frames - before.frames) if last.frames > before.frames else 1.0
    return last.peak_bytes + growth * more > SHARE_OF_MEMORY * free


def _free_memory() -> int:
    """Give the bytes that programs may still take on this machine."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        told = dict(line.split(":") for line in lines)
        return int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def has_settled(sizes: Sequence[Size]) -> bool:
    """Tell whether the last two doublings brought no more frames a second.

    Args:
        sizes: measured so far, the smallest first.
    """
    rates = [size.frames_per_second for size in sizes]
    return len(rates) > 2 and max(rates[-2:]) * ENOUGH < max(rates[:-2])


def _measure(
    subject: Subject,
    frames: int,
    seconds: float,
    threads: int,
    folder: Path,
    launcher: Launcher,
) -> Size:
    """Train a few steps with a batch size.

    Args:
        subject: what is probed.
        frames: asked for a batch.
        seconds: to measure for.
        threads: CPU threads.
        folder: of this measurement, made anew.
        launcher: starts its process.

    Raises:
        _OutOfMemory: it does not fit.
        InputError: it failed otherwise.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    result = folder / "measured.json"
    init_args = {"file": str(result), "warmup_steps": WARMUP_STEPS, "seconds": seconds}
    settings = {
        **subject.settings,
        KEY: frames,
        "trainer.callbacks": [
            *(subject.get("trainer.callbacks") or []),
            {"class_path": METER, "init_args": init_args},
        ],
        "trainer.max_steps": MANY_STEPS,
        "trainer.limit_val_batches": 0,
        "trainer.log_every_n_steps": MANY_STEPS,
        "trainer.enable_progress_bar": False,
        "run.folder": str(folder / "fit"),
        "run.pictures": False,
        "wandb.mode": "disabled",
    }
    overrides = folder / "overrides.yaml"
    overrides.write_text(dump_yaml(nested(flatten(settings))), encoding="utf-8")
    configs = [str(path) for path in (*subject.configs, overrides)]
    argv = ["phoneme-cli", "fit", *(word for one in configs for word in ("--config", one))]
    watch = OomWatch(oom_counter())
    handle = launcher.launch(Job(argv, folder / "output.txt", Path.cwd(), threads))
    try:
        while (code := handle.wait(WAIT_SECONDS)) is None:
            watch.struck()
    except BaseException:
        handle.kill()
        raise
    outcome = read_outcome(folder / "fit")
    if (outcome and outcome.cause == "memory") or (code == -signal.SIGKILL and watch.struck()):
        raise _OutOfMemory
    if code or not result.is_file():
        last = " ".join(last_lines(folder / "output.txt", 1)).removeprefix("error: ")
        said = outcome.message if outcome else last
        raise InputError(f"{frames} frames a batch could not be measured: {said or code}")
    told = json.loads(result.read_text(encoding="utf-8"))
    steps = told["steps"]
    return Size(
        frames,
        told["frames"] / steps,
        told["seconds"] / steps,
        told["waited"] / told["seconds"],
        told["peak_bytes"],
    )
