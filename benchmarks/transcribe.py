"""Show how fast recordings are transcribed, features and decoding included, and in what memory.

The nets have the shapes of their configs and weights by chance: what they say is nonsense, at the
speed of sense. The sound is noise in the rhythm of syllables, the decoder's phones likely as any.
Two cores by default. Features, chunks' contexts, decoding and the list of phones are in the times;
loading the net is not. A recording comes through a file, or as standard input does through a pipe;
"short" are recordings of 12 s, as long all together, that are heard side by side. Memory is what
the process takes between batches beyond what it has once the net has heard a full one, without
files; the peak is all that it ever took, in batches and of mapped files too.

    python benchmarks/transcribe.py [--minutes 1 60] [--through file pipe short] [--nets rnn crnn]
"""

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from threading import Thread
from typing import Any

__all__ = ["main"]

CONFIGS = Path(__file__).parents[1] / "configs"
BLOCK_SECONDS = 30
SHORT_SECONDS = 12
TOGETHER = 50


def write_sound(file: Any, seconds: float) -> None:
    """Write noise that swells four times a second as wav, a block at a time."""
    import numpy as np
    import soundfile

    draw, size = np.random.default_rng(0), BLOCK_SECONDS * 16_000
    swell = np.sin(np.arange(size) * (4 * np.pi / 16_000)) ** 2
    left = round(seconds * 16_000)
    with soundfile.SoundFile(file, "w", 16_000, 1, format="WAV", subtype="PCM_16") as out:
        while left > 0:
            out.write((0.1 * swell * draw.normal(size=size)).astype(np.float32)[:left])
            left -= size


def recording(file: Path, through: str) -> Iterator[Any]:
    """Read a recording, a block at a time."""
    from phoneme_lightning.corpora.sound import stream_audio

    if through != "pipe":
        yield from stream_audio(file, BLOCK_SECONDS)
        return
    read, write = os.pipe()

    def fill() -> None:
        with file.open("rb") as source, os.fdopen(write, "wb") as sink:
            while some := source.read(1 << 20):
                sink.write(some)

    Thread(target=fill, daemon=True).start()
    with os.fdopen(read, "rb") as pipe:
        yield from stream_audio(pipe, BLOCK_SECONDS)


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
    phones = PhoneModel(flat, flat, log_next, np.full(count, 3))
    saved = SavedDecoder(PHONES, phones, Decoder(1.0, 0.5))
    return Transcriber((hearing,), saved)


def own_memory() -> float:
    """Give the megabytes of memory that are this process's own and stand in no file."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def measure(ready: Any, folder: Path, minutes: float, through: str) -> dict[str, Any]:
    """Transcribe recordings; give how many times faster than they last, and the memory it took."""
    from phoneme_lightning.inference.transcriber import Begin, read_recording

    file = folder / "sound.wav"
    seconds = min(60 * minutes, SHORT_SECONDS) if through == "short" else 60 * minutes
    count = max(1, round(60 * minutes / seconds))
    write_sound(str(file), seconds)
    before, most = own_memory(), 0.0

    def watch(done: float, whole: float | None) -> None:
        nonlocal most
        most = max(most, own_memory())

    begun, spent = time.perf_counter(), os.times()
    heard, phones = 0.0, 0
    for first in range(0, count, TOGETHER):
        group = [
            read_recording("noise", recording(file, through), begin=Begin(0), told=watch)
            for _ in range(first, min(count, first + TOGETHER))
        ]
        for transcript in ready.hear(group):
            heard += transcript.seconds
            phones += sum(1 for _ in transcript)
    taken, used = time.perf_counter() - begun, os.times()
    return {
        "net": ready.nets[0].checkpoint,
        "precision": ready.nets[0].precision,
        "minutes": round(heard / 60, 3),
        "through": through,
        "phones": phones,
        "times real time": round(heard / taken, 1),
        "cores busy": round((used.user + used.system - spent.user - spent.system) / taken, 2),
        "more memory, MB": round(most - before, 1),
        "peak, MB": round(getrusage(RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Print a row a net, length and way, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=["rnn", "crnn"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 60])
    ways = ["file", "pipe", "short"]
    parser.add_argument("--through", nargs="+", choices=ways, default=["file", "short"])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--quick", action="store_true", help="one second of sound: does it run")
    given = parser.parse_args()
    warm = 10.0
    if given.quick:
        given.nets, given.minutes, warm = ["rnn"], [1 / 60], 1 / 60
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    os.environ["OMP_NUM_THREADS"] = str(given.cores)  # before torch is loaded
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for net in given.nets:
            ready = transcriber(net, given.precision)
            measure(ready, Path(name), warm, "file")
            for minutes in given.minutes:
                for through in given.through:
                    rows.append(measure(ready, Path(name), minutes, through))
                    print("  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
