"""One voice speaks its part of the built-in corpus, as a program in a process of its own.

    python -m phoneme_lightning.corpora.recital VOICE SECONDS

writes a Recital to standard output. A mistake of the user is one line on standard error and exit
code 2. A new process a voice is what makes espeak-ng give the same bytes every time.
"""

import sys
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from phoneme_lightning.corpora.audio import (
    SAMPLE_RATE,
    SHIFT_SAMPLES,
    extract,
    frame_centres,
    resample,
)
from phoneme_lightning.corpora.espeak import Speaker
from phoneme_lightning.corpora.espeak_phones import find_segments
from phoneme_lightning.corpora.voices import VOICES, Voice, sentences_of
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import SILENCE

__all__ = ["GAIN_DB", "MARGIN_SECONDS", "SNR_DB", "Recital", "recite", "record"]

SNR_DB = (5.0, 30.0)
"""Speech over noise, drawn per utterance."""
GAIN_DB = (-30.0, -3.0)
"""The loudest sample under full scale, drawn per utterance."""
MARGIN_SECONDS = (0.05, 0.3)
"""Silence before and after the speech, drawn per utterance."""


class Recital(NamedTuple):
    """What one voice spoke.

    Attributes:
        version: espeak-ng's.
        numbers: (utterances,), int64: of each sentence, as `recite` counts.
        lengths: (utterances,), int64: frames of each.
        features: (frames, 13), float32: all utterances end to end.
        labels: (frames,), int8.
    """

    version: np.ndarray
    numbers: np.ndarray
    lengths: np.ndarray
    features: np.ndarray
    labels: np.ndarray

    def save(self, file: BinaryIO) -> None:
        """Write the recital as an .npz archive."""
        np.savez(file, **self._asdict())

    @classmethod
    def load(cls, file: BinaryIO) -> Self:
        """Read what `save` wrote."""
        with np.load(file) as arrays:
            return cls(**arrays)


def record(speech: np.ndarray, margins: tuple[int, int], draw: np.random.Generator) -> np.ndarray:
    """Put clean speech into a noisy room with a microphone at some level.

    The noise has a power spectrum of 1 / f^colour, drawn between white (0) and pink (1).

    Args:
        speech: (samples,), float32, not silent all through.
        margins: samples of silence to put before and after.
        draw: where the random numbers come from.

    Returns:
        (margin + samples + margin,), float32, rounded to what 16 bits can hold.
    """
    samples = len(speech) + sum(margins)
    quick_size = 1 << samples.bit_length()  # Fourier transforms of other lengths can be slow
    spectrum = np.fft.rfft(draw.standard_normal(quick_size))
    spectrum *= np.maximum(1, np.arange(len(spectrum))) ** (-draw.uniform(0, 1) / 2)
    noise = np.fft.irfft(spectrum)[:samples]
    power_ratio = 10 ** (draw.uniform(*SNR_DB) / 10)
    noise *= np.sqrt(np.mean(speech**2) / (power_ratio * np.mean(noise**2)))
    noisy = np.pad(speech, margins) + noise
    noisy *= 10 ** (draw.uniform(*GAIN_DB) / 20) / np.abs(noisy).max()
    recorded: np.ndarray = np.round(noisy * 32768) / 32768
    return recorded.astype(np.float32)


def _perform(speaker: Speaker, voice: Voice, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Speak, record and label one sentence: features, (frames, 13), and labels, (frames,)."""
    sentences = sentences_of(voice.split)
    samples, events = speaker.speak(sentences[number % len(sentences)])
    segments = find_segments(events, len(samples), rhotic=voice.rhotic)
    draw = np.random.default_rng([VOICES.index(voice), number])
    before, after = (round(SAMPLE_RATE * draw.uniform(*MARGIN_SECONDS)) for _ in range(2))
    speech = resample(samples.astype(np.float32) / 32768, speaker.sample_rate)
    features = extract(record(speech, (before, after), draw))
    at = (frame_centres(len(features)) - before) * (speaker.sample_rate / SAMPLE_RATE)
    is_speech = (at >= 0) & (at < len(samples))
    labels = np.where(is_speech, segments.at(at.clip(0)), SILENCE)
    return features, labels.astype(np.int8)


def recite(voice: Voice, seconds: float) -> Recital:
    """Let a voice speak so many seconds, or a little more: it ends its sentence.

    Each voice begins elsewhere among its split's sentences and goes on in their order; after the
    last the first comes, its number counted on, so that it meets other noise when it comes again.

    Raises:
        InputError: espeak-ng is not there.
    """
    speaker = Speaker(
        voice.accent, voice.variant, words_per_minute=voice.words_per_minute, pitch=voice.pitch
    )
    company = [other for other in VOICES if other.split == voice.split]
    start = company.index(voice) * len(sentences_of(voice.split)) // len(company)
    numbers: list[int] = []
    features: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    samples = 0
    while samples < seconds * SAMPLE_RATE:
        numbers.append(start + len(numbers))
        x, y = _perform(speaker, voice, numbers[-1])
        features.append(x)
        labels.append(y)
        samples += len(x) * SHIFT_SAMPLES
    return Recital(
        version=np.array(speaker.version),
        numbers=np.array(numbers),
        lengths=np.array([len(x) for x in features]),
        features=np.concatenate(features),
        labels=np.concatenate(labels),
    )


def main() -> int:
    """Recite what the command line asks for."""
    name, seconds = sys.argv[1:]
    voice = next(voice for voice in VOICES if voice.name == name)
    try:
        recital = recite(voice, float(seconds))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    recital.save(sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
