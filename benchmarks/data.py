"""Show how fast frames come from the disk to a ready batch, and whether training waits for them.

Compared are, each with its set-up and without:

* the course's way: load a .pt file an utterance, set 21 frames side by side, shuffle frames
* padded: utterances held as tensors, shuffled, 32 at a time padded by a DataLoader
* ours: the loader alone; and with what is done to a batch before the net sees it, deltas,
  normalisation and masks, as in configs/rnn.yaml

Files are in the page cache. On a GPU a batch is ready when it is there; ours is measured from the
GPU's own memory and from pinned memory. Last an RNN is trained for a few steps by phoneme-cli,
whose metrics say what share of their time goes by waiting for the batch and preparing it.

    python benchmarks/data.py [--store data/libriphone]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fits import choose_device, machine, set_up
from memory import make_random_store
from plain_data import course_loader, padded_loader, write_files
from random_batches import MEAN_FRAMES
from timing import finish, options, take_turns

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.data import frames as frames_module
from phoneme_lightning.data.augment import Augmentation
from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.loader import BatchLoader
from phoneme_lightning.data.module import prepare
from phoneme_lightning.data.sampler import BucketSampler
from phoneme_lightning.training.curves import read_metrics

__all__ = ["main", "wait_share"]

AUGMENT = Augmentation(time_masks=2, coefficient_masks=1)
_COMMAND = "from phoneme_lightning.cli import main; main()"

Batches = Iterable[Any]


def our_loader(store: FrameStore, frames_per_batch: int, device: str) -> BatchLoader:
    """Make the loader of a fit."""
    positions = store.split("utterance", "train")
    sampler = BucketSampler(store.lengths[positions], frames_per_batch, shuffle=True)
    return BatchLoader(Frames(store, device), positions, sampler)


def ours(loader: BatchLoader, device: str, *, ready: bool) -> Batches:
    """Give an epoch of our batches, prepared where they shall be `ready`."""
    generator = torch.Generator(device)
    for raw in loader:
        batch = raw.to(device)
        yield prepare(batch, "temporal", AUGMENT, generator) if ready else batch


def theirs(loader: Batches, device: str) -> Batches:
    """Give an epoch of a DataLoader's batches, on the device."""
    for batch in loader:
        yield [tensor.to(device) for tensor in batch]


def rate(epoch: Callable[[], Batches], frames: int, device: str) -> float:
    """Give the real frames a second of an epoch."""
    start = time.perf_counter()
    for _ in epoch():
        pass
    if device == "cuda":
        torch.cuda.synchronize()
    return frames / (time.perf_counter() - start)


def _set_up(make: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return make(), time.perf_counter() - start


def wait_share(store: Path, device: str, threads: int, steps: int) -> float:
    """Train configs/rnn.yaml for a few steps; give the share of a step that is spent waiting."""
    every = max(1, steps // 4)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        settings = {
            "config": Path(__file__).parents[1] / "configs" / "rnn.yaml",
            "data.corpus": store.resolve(),
            "run.folder": run,
            "run.pictures": False,
            "trainer.accelerator": "gpu" if device == "cuda" else "cpu",
            "trainer.devices": 1,
            "trainer.max_steps": steps,
            "trainer.val_check_interval": steps,
            "trainer.limit_val_batches": 1,
            "trainer.log_every_n_steps": every,
            "wandb.mode": "disabled",
        }
        subprocess.run(
            [sys.executable, "-c", _COMMAND, "fit", *(f"--{k}={v}" for k, v in settings.items())],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        shares = [
            row["train/wait_share"]
            for row in read_metrics(run / "metrics.csv")
            if "train/wait_share" in row
        ]
    return statistics.median(shares[1:])  # without the first steps, in which much is made


def measure(store: FrameStore, count: int, device: str, repetitions: int) -> dict[str, Any]:
    """Measure each way's rates and set-up."""
    positions = store.split("utterance", "train")
    some = positions[:: max(1, len(positions) // count)][:count]
    utterances = [
        (store[p].features, store.labels[store.offsets[p] : store.offsets[p + 1]]) for p in some
    ]
    labels = [row for _, row in utterances]
    few, all_frames = sum(map(len, labels)), int(store.lengths[positions].sum())
    epochs: dict[str, Callable[[], Batches]] = {}
    frames: dict[str, int] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), utterances)
        elsewhere = {
            "course": lambda: course_loader(files, labels),
            "padded, 0 workers": lambda: padded_loader(files, labels, 0),
            "padded, 2 workers": lambda: padded_loader(files, labels, 2),
        }
        for name, make in elsewhere.items():
            loader, seconds[name] = _set_up(make)
            epochs[name], frames[name] = partial(theirs, loader, device), few
    places = {"": frames_module.SHARE_OF_FREE_MEMORY}
    if device == "cuda":
        places = {", resident": 1.0, ", pinned": 0.0}
    for place, share in places.items():
        frames_module.SHARE_OF_FREE_MEMORY = share
        for size in (8_000, 32_000):
            for what, ready in (("loader", False), ("ready", True)):
                name = f"ours, {size:,}, {what}{place}"
                loader, seconds[name] = _set_up(lambda s=size: our_loader(store, s, device))
                epochs[name], frames[name] = partial(ours, loader, device, ready=ready), all_frames
    contenders = {name: partial(rate, epochs[name], frames[name], device) for name in epochs}
    rates = take_turns(contenders, repetitions)
    return {
        name: {
            "frames": frames[name],
            "set_up_seconds": seconds[name],
            "frames_per_second": rates[name],
            "with_set_up": frames[name] / (seconds[name] + frames[name] / rates[name]),
            "padding": _padding(epochs[name], frames[name]),
        }
        for name in rates
    }


def _padding(epoch: Callable[[], Batches], frames: int) -> float:
    labels = (batch[1] if isinstance(batch, list) else batch.labels for batch in epoch())
    return 1 - frames / sum(tensor.numel() for tensor in labels)


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = options(__doc__)
    parser.add_argument("--store", type=Path, help="a frame store; a random one if not given")
    parser.add_argument("--utterances", type=int, default=256, help="that the other ways read")
    parser.add_argument("--steps", type=int, default=16, help="of the fit; 0 trains none")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.utterances, arguments.steps, arguments.repetitions = 16, 0, 1
    set_up(arguments.threads)
    device = choose_device(arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.store or make_random_store(
            Path(folder) / "store", 64 if arguments.quick else 1_000, MEAN_FRAMES
        )
        store = FrameStore(path)
        np.asarray(store.features).sum()  # into the page cache
        ways = measure(store, arguments.utterances, device, arguments.repetitions)
        wait = (
            wait_share(path, device, arguments.threads, arguments.steps)
            if arguments.steps
            else None
        )
    course = ways["course"]
    ready = next(way for name, way in ways.items() if name.startswith("ours, 8,000, ready"))
    result = {
        **machine(device),
        "corpus": store.corpus,
        "ways": ways,
        "times_the_course": ready["frames_per_second"] / course["frames_per_second"],
        "times_the_course_with_set_up": ready["with_set_up"] / course["with_set_up"],
        "wait_share": wait,
    }
    finish([{"way": name, **way} for name, way in ways.items()], result)


if __name__ == "__main__":
    main()
