"""Samples to features: 13 MFCC of 25 ms windows every 10 ms, by kaldi-native-fbank."""

import kaldi_native_fbank as knf
import numpy as np
import soxr

__all__ = [
    "COEFFICIENTS",
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "SHIFT_SAMPLES",
    "extract",
    "frame_centres",
    "frame_count",
    "mfcc",
    "mfcc_options",
    "normalise",
    "resample",
]

SAMPLE_RATE = 16_000
"""Samples a second."""
FRAME_SAMPLES = 400
"""Samples of a window: 25 ms."""
SHIFT_SAMPLES = 160
"""Samples from a window to the next: 10 ms."""
COEFFICIENTS = 13


def frame_count(samples: int) -> int:
    """Give how many windows fit whole into so many samples at SAMPLE_RATE."""
    return max(0, (samples - FRAME_SAMPLES) // SHIFT_SAMPLES + 1)


def frame_centres(frames: int) -> np.ndarray:
    """Give the sample at the middle of each window, (frames,), int64."""
    return np.arange(frames) * SHIFT_SAMPLES + FRAME_SAMPLES // 2


def resample(samples: np.ndarray, rate: float) -> np.ndarray:
    """Bring sound to SAMPLE_RATE by soxr, in its high quality.

    Args:
        samples: (samples,), float32, full scale is 1.
        rate: samples a second that they have.

    Returns:
        (samples,), float32, at SAMPLE_RATE.
    """
    resampled: np.ndarray = soxr.resample(samples, rate, SAMPLE_RATE)
    return resampled


def mfcc_options() -> knf.MfccOptions:
    """Give the settings of `mfcc`, all others being Kaldi's own."""
    options = knf.MfccOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.frame_length_ms = 1000 * FRAME_SAMPLES / SAMPLE_RATE
    options.frame_opts.frame_shift_ms = 1000 * SHIFT_SAMPLES / SAMPLE_RATE
    options.frame_opts.dither = 0  # its random numbers would differ from call to call
    options.num_ceps = COEFFICIENTS
    options.use_energy = False
    return options


def mfcc(samples: np.ndarray) -> np.ndarray:
    """Compute mel-frequency cepstra as Kaldi's recipes do: c0, not the energy, comes first.

    Args:
        samples: (samples,), float32, at SAMPLE_RATE, full scale is 1.

    Returns:
        (frames, 13), float32; no frame of fewer than FRAME_SAMPLES samples.
    """
    computer = knf.OnlineMfcc(mfcc_options())
    computer.accept_waveform(SAMPLE_RATE, samples * 32768)  # Kaldi counts in int16's units
    computer.input_finished()
    frames = [computer.get_frame(frame) for frame in range(computer.num_frames_ready)]
    return np.array(frames, dtype=np.float32).reshape(len(frames), COEFFICIENTS)


def normalise(features: np.ndarray) -> np.ndarray:
    """Bring each coefficient of an utterance to mean 0 and standard deviation 1 (with N - 1).

    A coefficient that does not vary becomes 0.

    Args:
        features: (frames, coefficients), at least one frame.

    Returns:
        (frames, coefficients), float32.
    """
    centred = features - features.mean(axis=0, dtype=np.float64)
    deviation = np.sqrt((centred**2).sum(axis=0) / max(1, len(features) - 1))
    constant = deviation < 1e-5
    normalised: np.ndarray = np.where(constant, 0, centred / np.where(constant, 1, deviation))
    return normalised.astype(np.float32)


def extract(samples: np.ndarray) -> np.ndarray:
    """Give the features that a frame store holds: `mfcc`, normalised over the utterance.

    Args:
        samples: (samples,), float32, at SAMPLE_RATE, full scale is 1.

    Returns:
        (frames, 13), float32; no frame of fewer than FRAME_SAMPLES samples.
    """
    features = mfcc(samples)
    return normalise(features) if len(features) else features
