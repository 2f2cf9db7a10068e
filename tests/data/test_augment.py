"""What augmentation may change, and what it must leave alone."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from phoneme_lightning.batch import Batch, frame_mask
from phoneme_lightning.data.augment import (
    Augmentation,
    add_noise,
    mask_coefficients,
    mask_time,
    time_stretch,
)
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import IGNORE_LABEL

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=4)
SEEDS = st.integers(0, 1000)
Change = Callable[[Batch, Generator], Batch]
CHANGES: dict[str, Change] = {
    "stretch": lambda batch, generator: time_stretch(batch, 0.3, generator),
    "noise": lambda batch, generator: add_noise(batch, 0.5, generator),
    "time masks": lambda batch, generator: mask_time(batch, 2, 8, generator),
    "coefficient masks": lambda batch, generator: mask_coefficients(batch, 2, 3, generator),
}
NOTHING: dict[str, Change] = {
    "stretch": lambda batch, generator: time_stretch(batch, 0.0, generator),
    "noise": lambda batch, generator: add_noise(batch, 0.0, generator),
    "time masks": lambda batch, generator: mask_time(batch, 0, 8, generator),
    "coefficient masks": lambda batch, generator: mask_coefficients(batch, 0, 3, generator),
}


def make_batch(lengths: list[int], *, coefficients: int = 39, padding: float = 0.0) -> Batch:
    """Give features that are never 0, and labels that say where a frame was."""
    features = [1 + torch.rand(n, coefficients, generator=seeded(n)) for n in lengths]
    batch = Batch.collate(features, [torch.arange(n) for n in lengths], range(len(lengths)))
    return replace(batch, features=batch.features.where(batch.mask[..., None], padding))


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
def test_a_zero_setting_gives_the_very_same_batch(change: Change) -> None:
    batch = make_batch([5, 9])
    assert change(batch, seeded(0)) is batch


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@settings(deadline=None, max_examples=15)
@given(lengths=LENGTHS, seed=SEEDS)
def test_real_frames_stay_finite_and_padding_stays_padding(
    change: Change, lengths: list[int], seed: int
) -> None:
    clean = change(make_batch(lengths), seeded(seed))
    for padding in (0.0, float("nan")):
        batch = change(make_batch(lengths, padding=padding), seeded(seed))
        assert torch.equal(batch.features[batch.mask], clean.features[clean.mask])
        assert (batch.labels[~batch.mask] == IGNORE_LABEL).all()
        assert (batch.labels[batch.mask] >= 0).all()
        assert torch.equal(batch.mask, frame_mask(batch.lengths, batch.features.shape[1]))
        assert batch.num_frames == int(batch.lengths.sum())
        assert batch.features.shape[1] == int(batch.lengths.max())
    assert (clean.features[~clean.mask] == 0).all()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_seed_decides(change: Change) -> None:
    batch = make_batch([50, 40, 30, 20])
    once, again, other = (change(batch, seeded(seed)).features for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert once.shape != other.shape or not torch.equal(once, other)


@settings(deadline=None, max_examples=30)
@given(LENGTHS, SEEDS, st.floats(0.01, 0.9))
def test_stretched_utterances_keep_ends_order_and_shares(
    lengths: list[int], seed: int, stretch: float
) -> None:
    batch = make_batch(lengths)
    stretched = time_stretch(batch, stretch, seeded(seed))
    for row, old in enumerate(lengths):
        new = int(stretched.lengths[row])
        assert old * (1 - stretch) - 0.51 <= new <= old * (1 + stretch) + 0.51
        labels = stretched.labels[row, :new]
        assert torch.equal(stretched.features[row, 0], batch.features[row, 0])
        if new > 1:
            assert torch.equal(stretched.features[row, new - 1], batch.features[row, old - 1])
            assert labels[-1] == old - 1
            assert (labels.diff() >= 0).all()
            # Each old frame is drawn about new / old times; frames at the ends half as often.
            times = torch.bincount(labels, minlength=old)
            assert times.max() <= math.ceil((new - 1) / max(old - 1, 1)) + (old == 1) * new
        if new >= old:
            assert set(labels.tolist()) == set(range(old))


def test_a_stretch_by_1_is_the_identity() -> None:
    batch = make_batch([5000, 1, 17])
    # So small a stretch that every length is rounded back to what it was.
    same = time_stretch(batch, 1e-6, seeded(0))
    assert torch.equal(same.features, batch.features)
    assert torch.equal(same.labels, batch.labels)


def test_a_straight_line_stays_straight() -> None:
    line = torch.arange(40.0)[:, None].expand(40, 13)
    batch = time_stretch(Batch.collate([line], [torch.arange(40)], [0]), 0.5, seeded(3))
    assert batch.num_frames != 40
    expected = torch.linspace(0, 39, batch.num_frames)
    assert torch.allclose(batch.features[0, :, 5], expected, atol=1e-4)
    assert (batch.labels[0] - expected).abs().max() <= 0.5


@settings(deadline=None, max_examples=30)
@given(LENGTHS, SEEDS, st.integers(1, 40))
def test_a_time_mask_is_one_span_of_bounded_width(
    lengths: list[int], seed: int, max_frames: int
) -> None:
    masked = mask_time(make_batch(lengths), 1, max_frames, seeded(seed))
    for row, length in enumerate(lengths):
        hidden = (masked.features[row, :length] == 0).int()
        assert (hidden.amin(dim=1) == hidden.amax(dim=1)).all()
        assert hidden[:, 0].sum() <= min(max_frames, length / 5)
        assert (torch.nn.functional.pad(hidden[:, 0], (1, 1)).diff() == 1).sum() <= 1


@settings(deadline=None, max_examples=30)
@given(LENGTHS, SEEDS, st.integers(1, 12))
def test_a_coefficient_mask_hides_the_same_band_in_all_three_blocks(
    lengths: list[int], seed: int, max_bands: int
) -> None:
    masked = mask_coefficients(make_batch(lengths), 1, max_bands, seeded(seed))
    for row, length in enumerate(lengths):
        hidden = (masked.features[row, :length] == 0).int()
        assert (hidden == hidden[0]).all()
        first, second, third = hidden[0].view(3, 13)
        assert torch.equal(first, second)
        assert torch.equal(first, third)
        assert first.sum() <= max_bands
        assert (torch.nn.functional.pad(first, (1, 1)).diff() == 1).sum() <= 1


def test_every_width_and_every_place_is_drawn() -> None:
    batch = make_batch([20] * 3000)
    hidden = mask_time(batch, 1, 3, seeded(0)).features[..., 0] == 0
    widths = torch.bincount(hidden.sum(dim=1), minlength=4) / 3000
    assert torch.allclose(widths, torch.tensor(0.25), atol=0.04)
    assert hidden.any(dim=0).all()


def test_noise_has_the_deviation_asked_for() -> None:
    batch = make_batch([500, 300])
    noise = (add_noise(batch, 0.2, seeded(0)).features - batch.features)[batch.mask]
    assert noise.std().item() == pytest.approx(0.2, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("key", "value"),
    [("time_masks", -1), ("coefficient_mask_width", 13), ("noise", math.nan), ("stretch", 1.0)],
)
def test_a_setting_out_of_range_names_its_key(key: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"data\.augment\.{key} is {value}: give"):
        Augmentation(**{key: value})  # type: ignore[arg-type]
