"""Show that memory while training does not grow with the corpus.

Two frame stores of random features are made in a temporary folder, one of them many times the
size of the other. In a fresh process each, an epoch of training batches is read. What is reported
is the process's own memory (RssAnon in /proc, so Linux only): the page cache behind the memory
map, which the system takes back whenever it is needed elsewhere, does not count.

    python benchmarks/memory.py
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from phoneme_lightning.corpora.splits import draw_splits
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter

__all__ = ["main", "make_random_store", "read_an_epoch"]


def make_random_store(path: Path, utterances: int, mean_frames: int) -> Path:
    """Write a store of random features whose lengths spread by half about their mean.

    Args:
        path: where the store shall stand.
        utterances: how many, all of them to train on but for one.
        mean_frames: of an utterance.

    Returns:
        The store's folder.
    """
    draw = np.random.default_rng(0)
    speakers = [f"s{number % 24}" for number in range(utterances)]
    with StoreWriter(path, coefficients=13) as writer:
        for number, speaker in enumerate(speakers):
            frames = int(draw.integers(mean_frames // 2, mean_frames * 3 // 2 + 1))
            features = draw.standard_normal((frames, 13), dtype=np.float32)
            writer.add(f"u{number}", speaker, features, draw.integers(41, size=frames))
        is_test = np.zeros(utterances, dtype=bool)
        return writer.finish(
            corpus="random",
            splits=draw_splits(speakers, is_test, fraction=0.0),
            settings={},
            counts={},
        )


def own_memory() -> int:
    """Give this process's anonymous memory in bytes."""
    found = re.search(r"^RssAnon:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


def read_an_epoch(path: Path, frames_per_batch: int) -> dict[str, Any]:
    """Read an epoch of training batches as a fit does, in this process.

    Args:
        path: of the store.
        frames_per_batch: real frames a batch, about.

    Returns:
        What the corpus holds, and how much memory was needed beyond the libraries' own.
    """
    from phoneme_lightning.data import PhonemeDataModule

    before = own_memory()
    start = time.perf_counter()
    store = FrameStore(path)
    open_ms = 1000 * (time.perf_counter() - start)
    loader = PhonemeDataModule(
        corpus=str(path), frames_per_batch=frames_per_batch
    ).train_dataloader()
    peak = before
    for _ in loader:
        peak = max(peak, own_memory())
    return {
        "utterances": len(store),
        "corpus_bytes": store.features.nbytes + store.labels.nbytes,
        "batches": len(loader),
        "open_ms": round(open_ms, 2),
        "growth_bytes": peak - before,
    }


def _in_a_fresh_process(path: Path, frames_per_batch: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--read", str(path)]
    done = subprocess.run(
        [*command, "--frames-per-batch", str(frames_per_batch)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--utterances", type=int, default=1319, help="of the small store")
    parser.add_argument("--mean-frames", type=int, default=276, help="of an utterance")
    parser.add_argument("--times", type=int, default=50, help="how much larger the other one is")
    parser.add_argument("--frames-per-batch", type=int, default=8_000)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read_an_epoch(arguments.read, arguments.frames_per_batch)))
        return

    sizes = (arguments.utterances, arguments.utterances * arguments.times)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        paths = [
            make_random_store(Path(folder) / f"{size}", size, arguments.mean_frames)
            for size in sizes
        ]
        reports = list(
            pool.map(lambda path: _in_a_fresh_process(path, arguments.frames_per_batch), paths)
        )
    print("utterances  corpus MB  batches  open ms  growth MB")
    for report in reports:
        print(
            f"{report['utterances']:10,}  {report['corpus_bytes'] / 1e6:9.1f}  "
            f"{report['batches']:7,}  {report['open_ms']:7.2f}  {report['growth_bytes'] / 1e6:9.2f}"
        )
    small, large = reports
    more = large["growth_bytes"] - small["growth_bytes"]
    summary = {
        "growth_ratio": round(large["growth_bytes"] / max(1, small["growth_bytes"]), 3),
        "bytes_an_utterance": round(more / (large["utterances"] - small["utterances"]), 1),
        "share_of_corpus": round(more / (large["corpus_bytes"] - small["corpus_bytes"]), 5),
        "small": small,
        "large": large,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
