"""The built-in corpus: sentences of our own, spoken by espeak-ng on the machine of the user.

Its labels are exact, and it needs no download and no licence of a data set. It is not real speech:
a score on it says nothing about speech of people. espeak-ng, which `espeakng-loader` brings, is
under the GPL, version 3; it runs in processes of its own, and everything but this corpus works
without it.
"""

import io
import math
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

import phoneme_lightning
from phoneme_lightning.corpora.audio import COEFFICIENTS
from phoneme_lightning.corpora.recital import GAIN_DB, MARGIN_SECONDS, SNR_DB, Recital
from phoneme_lightning.corpora.store import SPLITS
from phoneme_lightning.corpora.voices import VOICES, Voice
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.errors import InputError

__all__ = ["prepare_spoken"]

_PACKAGES = ("espeakng-loader", "kaldi-native-fbank", "numpy", "soxr")


def prepare_spoken(out: Path, *, minutes: float = 60, workers: int | None = None) -> Path:
    """Make the built-in spoken corpus, the same bytes for any number of workers.

    Validation and test have voices and sentences of their own, so that both schemes, "utterance"
    and "speaker", are the one split that the corpus brings.

    Args:
        out: where the frame store shall stand.
        minutes: how much speech in all, the same by each voice; a little more is made, since a
            voice ends its sentence. From some 100 minutes on sentences come again in a voice.
        workers: voices that speak at once; by default as many as there are cores.

    Returns:
        The store's folder.

    Raises:
        InputError: espeak-ng is not there, `minutes` is no number above 0, or
            `workers` is below 1.
    """
    if not 0 < minutes < math.inf:
        raise InputError(f"minutes is {minutes}, but must be a number above 0")
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}, but must be at least 1")
    speak: Callable[[Voice], Recital] = partial(_speak, seconds=60 * minutes / len(VOICES))
    splits: list[int] = []
    espeak_versions = set()
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        with StoreWriter(out, coefficients=COEFFICIENTS) as writer:
            recitals = track(
                zip(VOICES, pool.map(speak, VOICES), strict=True),
                description="Speaking",
                total=len(VOICES),
                console=Console(stderr=True),
            )
            for voice, recital in recitals:
                ends = recital.lengths.cumsum()
                for number, start, end in zip(
                    recital.numbers, ends - recital.lengths, ends, strict=True
                ):
                    writer.add(
                        f"{voice.name}-{number:03}",
                        voice.name,
                        recital.features[start:end],
                        recital.labels[start:end],
                    )
                splits += [SPLITS.index(voice.split)] * len(ends)
                espeak_versions.add(str(recital.version))
            split = np.array(splits)
            return writer.finish(
                corpus="spoken",
                splits={"utterance": split, "speaker": split},
                settings={
                    "minutes": float(minutes),
                    "snr_db": SNR_DB,
                    "gain_db": GAIN_DB,
                    "margin_seconds": MARGIN_SECONDS,
                    "versions": {
                        "espeak-ng": ", ".join(sorted(espeak_versions)),
                        **{name: version(name) for name in _PACKAGES},
                    },
                },
                counts={"speakers": len(VOICES)},
            )
    finally:
        pool.shutdown(cancel_futures=True)


def _speak(voice: Voice, *, seconds: float) -> Recital:
    package_root = str(Path(phoneme_lightning.__file__).parents[1])
    search_path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
    process = subprocess.run(
        [sys.executable, "-m", "phoneme_lightning.corpora.recital", voice.name, str(seconds)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": search_path},
    )
    if process.returncode:
        message = process.stderr.decode().strip()
        raise (InputError if process.returncode == 2 else RuntimeError)(message)
    return Recital.load(io.BytesIO(process.stdout))
