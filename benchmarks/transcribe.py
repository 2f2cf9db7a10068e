"""Show how fast recordings are transcribed, features and decoding included, and in what memory.

The nets have the shapes of their configs and weights by chance: what they say is nonsense, at the
speed of sense. The sound is noise in the rhythm of syllables, the decoder's phones likely as any.
Two cores by default. Memory is what the process takes beyond what it has once the net has heard
its first chunk; files do not count.

    python benchmarks/transcribe.py [--minutes 1 20] [--nets rnn crnn] [--cores 2]
"""

import argparse
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["main"]

CONFIGS = Path(__file__).parents[1] / "configs"
BLOCK_SECONDS = 30


def sound(seconds: float) -> Iterator[Any]:
    """Give noise that swells four times a second, a block at a time."""
    import numpy as np

    draw, size = np.random.default_rng(0), BLOCK_SECONDS * 16_000
    swell = np.sin(np.arange(size) * (4 * np.pi / 16_000)) ** 2
    left = round(seconds * 16_000)
    while left > 0:
        block = (0.1 * swell * draw.normal(size=size)).astype(np.float32)
        yield block[:left]
        left -= size


def transcriber(net: str, precision: str) -> Any:
    """Make a net as its config describes it, and a decoder."""
    import numpy as np
    import torch
    import yaml

    from phoneme_lightning import models
    from phoneme_lightning.inference.decoding import Decoder, PhoneModel
    from phoneme_lightning.inference.hearing import Net
    from phoneme_lightning.inference.saved_decoder import SavedDecoder
    from phoneme_lightning.inference.transcriber import Transcriber
    from phoneme_lightning.phones import PHONES
    from phoneme_lightning.training.classifier import PhonemeClassifier
    from phoneme_lightning.training.trainer import resolve_precision

    torch.manual_seed(0)
    backbone = yaml.safe_load((CONFIGS / f"{net}.yaml").read_text())["model"]["backbone"]
    kind = getattr(models, backbone["class_path"].split(".")[-1])
    classifier = PhonemeClassifier(kind(**backbone["init_args"])).eval()
    with torch.no_grad():
        classifier.head.weight.mul_(20)  # as sure of itself as a net that has learnt
    hearing = Net(net, classifier, PHONES, 39, resolve_precision(precision), torch.device("cpu"))
    count = len(PHONES)
    flat = np.full(count, -np.log(count), dtype=np.float32)
    log_next = np.tile(flat, (count, 1))
    np.fill_diagonal(log_next, -np.inf)
    saved = SavedDecoder(PHONES, PhoneModel(flat, flat, log_next, 3), Decoder(1.0, 0.5))
    return Transcriber((hearing,), saved)


def own_memory() -> float:
    """Give the megabytes of memory that are this process's own and stand in no file."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def measure(net: str, minutes: float, given: Any) -> dict[str, Any]:
    """Transcribe a recording; give how many times faster than it lasts, and the memory it took."""
    from phoneme_lightning.inference.transcriber import Begin

    ready = transcriber(net, given.precision)
    ready.transcribe("warm", sound(60), begin=Begin(0))
    before, most = own_memory(), 0.0

    def watch(done: float, whole: float | None) -> None:
        nonlocal most
        most = max(most, own_memory())

    begun = time.perf_counter()
    spent = os.times()
    transcript = ready.transcribe("noise", sound(60 * minutes), begin=Begin(0), told=watch)
    phones = sum(1 for _ in transcript)
    seconds, used = time.perf_counter() - begun, os.times()
    return {
        "net": net,
        "precision": ready.nets[0].precision,
        "minutes": minutes,
        "phones": phones,
        "times real time": round(transcript.seconds / seconds, 1),
        "cores busy": round((used.user + used.system - spent.user - spent.system) / seconds, 2),
        "more memory, MB": round(most - before, 1),
    }


def main() -> None:
    """Print a row a net and length, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=["rnn", "crnn"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 20])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--quick", action="store_true", help="one second of sound: does it run")
    given = parser.parse_args()
    if given.quick:
        given.nets, given.minutes = ["rnn"], [1 / 60]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    os.environ["OMP_NUM_THREADS"] = str(given.cores)  # before torch is loaded
    rows = [measure(net, minutes, given) for net in given.nets for minutes in given.minutes]
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
