"""Deltas against a plain loop, and what padding must never do to them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phoneme_lightning.batch import Batch
from phoneme_lightning.data.deltas import Deltas, normalise, temporal_deltas, with_deltas
from phoneme_lightning.errors import InputError

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=5)


def make_batch(lengths: list[int], *, padding: float = 0.0, coefficients: int = 13) -> Batch:
    draw = np.random.default_rng(sum(lengths))
    features = [
        torch.tensor(draw.normal(size=(n, coefficients)) * 3 + 1, dtype=torch.float32)
        for n in lengths
    ]
    labels = [torch.tensor(draw.integers(0, 41, n)) for n in lengths]
    batch = Batch.collate(features, labels, range(len(lengths)))
    return replace(batch, features=batch.features.where(batch.mask[..., None], padding))


def naive_deltas(x: np.ndarray) -> np.ndarray:
    last = len(x) - 1
    out = np.zeros_like(x)
    for t in range(len(x)):
        for k in (1, 2):
            out[t] += k * (x[min(t + k, last)] - x[max(t - k, 0)]) / 10
    return out


@settings(deadline=None, max_examples=25)
@given(LENGTHS)
def test_temporal_deltas_equal_a_loop_over_each_utterance(lengths: list[int]) -> None:
    batch = with_deltas(make_batch(lengths, padding=float("nan")), "temporal")
    for row, length in enumerate(lengths):
        once = naive_deltas(batch.features[row, :length, :13].numpy())
        expected = np.concatenate([once, naive_deltas(once)], axis=1)
        np.testing.assert_allclose(batch.features[row, :length, 13:], expected, atol=1e-5)
        assert (batch.features[row, length:] == 0).all()


def test_the_slope_of_a_ramp_is_its_slope() -> None:
    ramp = 0.5 * torch.arange(9.0)[None, :, None]
    slope = temporal_deltas(ramp, torch.tensor([9]))[0, :, 0]
    assert torch.allclose(slope[2:-2], torch.tensor(0.5))
    assert slope[0] == pytest.approx(0.25)


@settings(deadline=None, max_examples=25)
@given(LENGTHS, st.sampled_from(["temporal", "none"]))
def test_an_utterance_alone_gives_what_it_gives_in_a_batch(
    lengths: list[int], kind: Deltas
) -> None:
    together = normalise(with_deltas(make_batch(lengths, padding=float("nan")), kind))
    clean = make_batch(lengths)
    for row, length in enumerate(lengths):
        alone = Batch.collate([clean.features[row, :length]], [clean.labels[row, :length]], [row])
        expected = normalise(with_deltas(alone, kind)).features[0]
        assert torch.allclose(together.features[row, :length], expected, atol=1e-5)
        assert (together.features[row, length:] == 0).all()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(3, 12), min_size=1, max_size=5))
def test_normalised_utterances_have_mean_0_and_deviation_1(lengths: list[int]) -> None:
    batch = normalise(make_batch(lengths))
    for row, length in enumerate(lengths):
        real = batch.features[row, :length]
        assert torch.allclose(real.mean(0), torch.zeros(13), atol=1e-5)
        assert torch.allclose(real.std(0), torch.ones(13), atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e4, 1 / 3])
def test_a_constant_and_a_single_frame_become_0(value: float) -> None:
    features = [torch.full((n, 13), value) for n in (1, 777)]
    assert (normalise(Batch.collate(features, [None, None], [0, 1])).features == 0).all()


def test_file_deltas_follow_each_utterances_own_map() -> None:
    batch = make_batch([4, 6], padding=float("nan"))
    maps = torch.randn(2, 13, 26, generator=torch.Generator().manual_seed(0))
    mapped = with_deltas(replace(batch, delta_maps=maps), "file").features
    for row, length in enumerate([4, 6]):
        expected = batch.features[row, :length] @ maps[row]
        assert torch.allclose(mapped[row, :length, 13:], expected, atol=1e-5)
    assert (mapped[0, 4:] == 0).all()


def test_file_deltas_without_maps_name_the_key_and_the_way_out() -> None:
    with pytest.raises(InputError, match=r"data\.deltas is 'file'.*'temporal'"):
        with_deltas(make_batch([3]), "file")
