"""Batches of an epoch: everything once, equally many everywhere, little padding."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.data.sampler import BucketSampler
from phoneme_lightning.errors import InputError


@st.composite
def epochs(draw):
    """Give lengths, a budget of frames, and processes, of which each gets an utterance."""
    longest = draw(st.sampled_from([20, 400]))
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=60))
    frames_per_batch = draw(st.integers(1, 6 * longest))
    return np.array(lengths), frames_per_batch, draw(st.integers(1, min(4, len(lengths))))


def on_every_rank(lengths, frames_per_batch, world_size, *, epoch=0, seed=0, shuffle=True):
    """Give each rank's batches."""
    ranks = []
    for rank in range(world_size):
        sampler = BucketSampler(
            lengths,
            frames_per_batch,
            shuffle=shuffle,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        sampler.set_epoch(epoch)
        ranks.append([batch.tolist() for batch in sampler])
        assert len(ranks[-1]) == len(sampler)
    return ranks


@given(epochs(), st.integers(0, 99), st.integers(0, 5))
def test_an_epoch_gives_every_utterance_once_over_all_ranks(setting, seed, epoch):
    lengths, *_ = setting
    ranks = on_every_rank(*setting, seed=seed, epoch=epoch)
    drawn = [index for batches in ranks for batch in batches for index in batch]
    assert sorted(drawn) == list(range(len(lengths)))
    assert all(batch for batches in ranks for batch in batches)
    # As many batches on every rank as in the first epoch of another seed.
    assert {len(batches) for batches in ranks} == {len(on_every_rank(*setting)[0])}
    assert ranks == on_every_rank(*setting, seed=seed, epoch=epoch)


@given(epochs())
def test_a_batch_overshoots_its_share_by_less_than_one_utterance(setting):
    lengths, frames_per_batch, world_size = setting
    batches = [batch for batches in on_every_rank(*setting) for batch in batches]
    share = lengths.sum() / len(batches)
    assert max(lengths[batch].sum() for batch in batches) < share + lengths.max()
    asked = lengths.sum() / (frames_per_batch * world_size)
    steps = min(max(1, round(asked)), len(lengths) // world_size)
    assert len(batches) == steps * world_size


@given(epochs(), st.integers(0, 9))
def test_ranks_share_the_batches_that_one_process_takes_with_as_many_frames(setting, epoch):
    lengths, frames_per_batch, world_size = setting
    ranks = on_every_rank(*setting, epoch=epoch)
    (alone,) = on_every_rank(lengths, frames_per_batch * world_size, 1, epoch=epoch)
    if len(alone) > len(lengths) // world_size:
        return  # there are not enough utterances for all ranks to have one of each batch
    together = [sorted(chain(*shares)) for shares in zip(*ranks, strict=True)]
    least = min(map(len, alone))
    assert least < world_size or together == [sorted(batch) for batch in alone]
    for shares in zip(*ranks, strict=True):
        frames = [lengths[share].sum() for share in shares]
        assert max(frames) - min(frames) <= max(lengths[list(chain(*shares))])


@given(epochs())
def test_evaluation_gives_every_utterance_once_in_the_order_of_length(setting):
    lengths, _, world_size = setting
    ranks = on_every_rank(*setting, shuffle=False)
    batches = [ranks[i % world_size][i // world_size] for i in range(sum(map(len, ranks)))]
    drawn = [index for batch in batches for index in batch]
    assert sorted(drawn) == list(range(len(lengths)))
    assert (np.diff(lengths[drawn]) >= 0).all()
    assert all(batches)
    assert all(ranks)  # Lightning refuses a rank without a batch
    assert ranks == on_every_rank(*setting, shuffle=False, epoch=3, seed=7)


def test_no_batch_is_empty_where_one_utterance_is_longer_than_two_shares():
    # The jitter sorts the long one behind the short ones, before them, or between.
    for seed in range(20):
        (batches,) = on_every_rank(np.array([12, 2, 2, 2, 2, 2]), 5, 1, seed=seed)
        assert len(batches) == 4
        assert all(batches)


def test_every_epoch_and_every_seed_has_an_order_and_batches_of_its_own():
    lengths = np.random.default_rng(0).integers(20, 200, size=200)
    orders = [
        on_every_rank(lengths, 1000, 2, epoch=epoch, seed=seed)
        for seed in (0, 1)
        for epoch in range(4)
    ]
    assert len({str(order) for order in orders}) == len(orders)
    members = [{frozenset(b) for rank in order for b in rank} for order in orders]
    assert len(members[0] & members[1]) < len(members[0]) / 2


@pytest.fixture
def lengths_like_libriphone():
    """Give 3,429 lengths from 139 to 998, 617 in the mean, most of them in the middle."""
    draw = np.random.default_rng(0)
    lengths = 139 + (859 * draw.beta(2.2, 1.75, size=3429)).round().astype(np.int64)
    assert abs(lengths.mean() - 617) < 6
    assert lengths.min() < 160 < 980 < lengths.max() <= 998
    return lengths


@pytest.mark.parametrize(("budget", "padding", "over"), [(32_000, 0.03, 1.05), (8_000, 0.02, 1.15)])
def test_real_lengths_need_little_padding(lengths_like_libriphone, budget, padding, over):
    lengths = lengths_like_libriphone
    for epoch in range(3):
        (batches,) = on_every_rank(lengths, budget, 1, epoch=epoch)
        assert len(batches) == round(lengths.sum() / budget)
        padded = sum(len(batch) * lengths[batch].max() for batch in batches)
        assert 1 - lengths.sum() / padded < padding
        assert max(lengths[batch].sum() for batch in batches) < over * budget


@pytest.mark.parametrize("shuffle", [True, False])
def test_fewer_utterances_than_processes_is_one_clear_error(shuffle):
    with pytest.raises(InputError, match=r"trainer\.devices .* 3 processes.* 2 utterances"):
        BucketSampler(np.array([5, 6]), 100, shuffle=shuffle, world_size=3)
