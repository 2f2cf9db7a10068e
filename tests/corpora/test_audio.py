"""Samples become frames as the rest of the house counts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.corpora.audio import (
    SAMPLE_RATE,
    extract,
    frame_centres,
    frame_count,
    mfcc,
    normalise,
    resample,
)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).uniform(-0.5, 0.5, samples).astype(np.float32)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2)])
def test_only_whole_windows_become_frames(samples, frames):
    assert frame_count(samples) == frames
    assert extract(noise(samples)).shape == (frames, 13)


@given(samples=st.integers(0, 5000))
def test_the_count_and_the_centres_agree_with_what_comes_out(samples):
    frames = len(mfcc(noise(samples)))
    assert frames == frame_count(samples)
    assert frames == 0 or frame_centres(frames)[-1] + 200 <= samples


def test_a_frame_is_where_its_centre_says():
    samples = np.zeros(16_000, np.float32)
    samples[8000] = 0.5
    loudness = mfcc(samples + 1e-3 * noise(16_000))[:, 0]
    assert abs(frame_centres(len(loudness))[loudness.argmax()] - 8000) <= 80


def test_features_are_the_same_bytes_at_every_call():
    samples = noise(8000)
    first = extract(samples)
    assert first.dtype == np.float32
    assert first.tobytes() == extract(samples).tobytes()


def test_features_are_normalised_over_the_utterance():
    features = extract(noise(16_000) * np.linspace(0, 1, 16_000, dtype=np.float32))
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0, ddof=1), 1, atol=1e-5)


def test_a_coefficient_that_does_not_vary_becomes_zero():
    features = np.column_stack([np.full(7, 1234.56), np.arange(7)])
    assert np.all(normalise(features)[:, 0] == 0)
    assert np.all(normalise(features[:1]) == 0)
    assert np.isfinite(extract(np.zeros(4000, np.float32))).all()


def test_a_tone_keeps_its_pitch_and_its_length_when_resampled():
    seconds = np.arange(22_050) / 22_050
    tone = resample(np.sin(2 * np.pi * 1000 * seconds).astype(np.float32), 22_050)
    assert tone.shape == (SAMPLE_RATE,)
    assert np.abs(np.fft.rfft(tone)).argmax() == 1000
