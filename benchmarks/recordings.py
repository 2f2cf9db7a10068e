"""Show how fast recordings become a frame store, and what memory that takes.

A minute of noise that swells, wav or flac, 16 bit at 16 kHz, in pieces of 10 s with a .lab of
ten phones a second, is linked under as many names as the hours need. `phoneme-data prepare folder`
makes a store of them in one process; so do `--shard K/4` for each K, and `merge`. Each is held to
one core.

"features" is reading and cepstra alone, "prepare" the whole command, its start and the store
included, both in times real time by the core's own seconds, which other work on the machine takes
least from; "by the clock" is the latter by wall seconds.

    python benchmarks/recordings.py [--hours 1 10]
"""

import argparse
import filecmp
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from prepare import run
from timing import print_table

from phoneme_lightning.corpora.audio import SAMPLE_RATE, extract
from phoneme_lightning.corpora.sound import read_audio
from phoneme_lightning.corpora.store import FrameStore

__all__ = ["main"]

SECONDS = 10
PIECES = 6
SHARDS = 4
PHONES = ("sil", "a", "s", "t", "m")


def write_minute(folder: Path, form: str) -> list[Path]:
    """Write the pieces of a minute; give their files of sound."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True)
    files = []
    for number in range(PIECES):
        loudness = 0.05 * (1.1 + np.sin(np.arange(SECONDS * SAMPLE_RATE) / 3000))
        noise = loudness * draw.standard_normal(SECONDS * SAMPLE_RATE)
        files.append(folder / f"{number}.{form}")
        soundfile.write(files[-1], noise, SAMPLE_RATE, subtype="PCM_16")
        edges = np.arange(10 * SECONDS + 1) / 10
        rows = zip(edges, edges[1:], draw.choice(PHONES, len(edges) - 1), strict=False)
        text = "".join(f"{begin:.1f} {end:.1f} {phone}\n" for begin, end, phone in rows)
        files[-1].with_suffix(".lab").write_text(text)
    return files


def link_hours(files: list[Path], hours: float, into: Path) -> int:
    """Link a minute's files under new names of twenty speakers until they last so many hours."""
    count = max(1, round(hours * 3600 / SECONDS))
    for number in range(count):
        file = files[number % len(files)]
        stem = into / f"s{number % 20:02}" / f"{number:06}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        for path in (file, file.with_suffix(".lab")):
            os.link(path, stem.with_suffix(path.suffix))
    return count


def features_alone(files: list[Path], repetitions: int) -> float:
    """Give how many times faster than real time files are read and become cepstra, at best."""
    best = float("inf")
    for _ in range(repetitions):
        begun = time.process_time()
        for file in files:
            extract(read_audio(file))
        best = min(best, time.process_time() - begun)
    return SECONDS * len(files) / best


def prepared(source: Path, out: Path) -> dict[str, Any]:
    """Prepare a folder in one go, and in shards; give speeds and peaks of memory."""
    words = ["prepare", "folder", str(source), "--workers", "1", "--out"]
    whole = run(*words, str(out / "whole"))
    numbers = range(1, SHARDS + 1)
    shards = [run(*words, str(out / "parts"), "--shard", f"{k}/{SHARDS}") for k in numbers]
    merge = run("merge", str(out / "parts"))
    files = [path.name for path in (out / "whole").iterdir()]
    _, differ, missing = filecmp.cmpfiles(out / "whole", out / "parts", files, shallow=False)
    seconds = len(FrameStore(out / "whole").features) / 100
    return {
        "prepare": seconds / whole.core_seconds,
        "by the clock": seconds / whole.seconds,
        "prepare MB": whole.peak / 1e6,
        "shard s": max(one.core_seconds for one in shards),
        "shard MB": max(one.peak for one in shards) / 1e6,
        "merge s": merge.core_seconds,
        "merge MB": merge.peak / 1e6,
        "same store": not differ and not missing,
    }


def main() -> None:
    """Print a row a format and length, and a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hours", nargs="+", type=float, default=[1, 10])
    parser.add_argument("--forms", nargs="+", default=["wav", "flac"])
    parser.add_argument("--repetitions", type=int, default=5, help="of the features alone")
    parser.add_argument("--quick", action="store_true", help="a trial run: its figures mean little")
    given = parser.parse_args()
    if given.quick:
        given.hours, given.forms, given.repetitions = [0.05], ["flac"], 1
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for form in given.forms:
            minute = write_minute(Path(folder) / form / "minute", form)
            alone = features_alone(minute, given.repetitions)
            for hours in given.hours:
                with tempfile.TemporaryDirectory(dir=folder) as place:
                    link_hours(minute, hours, Path(place) / "source")
                    about = prepared(Path(place) / "source", Path(place) / "out")
                rows.append({"form": form, "hours": hours, "features": alone, **about})
    print_table(rows)
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
