"""The losses against sums over every alignment, and mixed utterances against hand-made ones."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from phoneme_lightning.batch import Batch
from phoneme_lightning.phones import IGNORE_LABEL
from phoneme_lightning.training.objectives import (
    ctc_loss,
    draw_share,
    frame_loss,
    labelled_frames,
    mix_utterances,
    neighbour_loss,
    weigh,
)

CLASSES = 3
NONE = IGNORE_LABEL

rows = st.lists(st.sampled_from([NONE, *range(CLASSES)]), min_size=1, max_size=6)


def padded(lists):
    """Give labels, (batch, frames), of rows of unequal length."""
    frames = max(map(len, lists))
    return torch.tensor([[*row, *[NONE] * (frames - len(row))] for row in lists])


def logits_of(labels, classes, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*labels.shape, classes, generator=draw)


def spoilt(logits, labels):
    """Put what would be seen in any sum where there is no label."""
    return logits.masked_fill((labels == NONE)[..., None], 50.0)


def joined(path):
    return [phone for phone, _ in itertools.groupby(path)]


def ctc_by_hand(logits, labels):
    """Add up every path of one utterance's labelled frames that reads as its phones."""
    labelled = [(x.double().softmax(0), y) for x, y in zip(logits, labels, strict=True) if y >= 0]
    phones = joined(y for _, y in labelled)
    blank, total = CLASSES, 0.0
    for path in itertools.product(range(CLASSES + 1), repeat=len(labelled)):
        if [phone for phone in joined(path) if phone != blank] == phones:
            chances = (x[k] for (x, _), k in zip(labelled, path, strict=True))
            total += math.prod(map(float, chances))
    return -math.log(total)


@settings(max_examples=30, deadline=None)
@given(st.lists(rows, min_size=1, max_size=3), st.integers(0, 9))
def test_ctc_is_the_surprise_over_all_alignments_of_the_labelled_frames(lists, seed):
    labels = padded(lists)
    logits = spoilt(logits_of(labels, CLASSES + 1, seed), labels).requires_grad_()
    loss = ctc_loss(logits, labels)
    expected = sum(ctc_by_hand(x, y) for x, y in zip(logits.detach(), labels.tolist(), strict=True))
    assert loss.item() == pytest.approx(expected, abs=1e-4)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert not logits.grad[labels == NONE].any()


def test_ctc_is_computed_in_fp32():
    labels = padded([[0, 0, 1, 2, 2]])
    logits = logits_of(labels, CLASSES + 1).bfloat16()
    assert ctc_loss(logits, labels) == ctc_loss(logits.float(), labels)


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, min_size=1, max_size=3), st.integers(1, 7))
def test_neighbours_are_those_labels_some_frames_away(lists, distance):
    labels = padded(lists)
    logits = spoilt(logits_of(labels, 2 * CLASSES), labels).requires_grad_()
    expected = 0.0
    for row, x in zip(labels.tolist(), logits.detach().double(), strict=True):
        for place, away in itertools.product(range(len(row)), (-distance, distance)):
            other = place + away
            if row[place] != NONE and 0 <= other < len(row) and row[other] != NONE:
                own = x[place, :CLASSES] if away < 0 else x[place, CLASSES:]
                expected -= float(own.log_softmax(0)[row[other]]) / 2
    loss = neighbour_loss(logits, labels, distance)
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    loss.backward()
    assert not logits.grad[labels == NONE].any()


def batch_of(lengths, seed=0):
    draw = torch.Generator().manual_seed(seed)
    features = [torch.randn(length, 4, generator=draw) for length in lengths]
    labels = [torch.randint(CLASSES, (length,), generator=draw) for length in lengths]
    return Batch.collate(features, labels, range(len(lengths)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.floats(0.5, 1.0))
def test_utterances_are_mixed_where_both_have_a_frame(lengths, share):
    batch = batch_of(lengths)
    batch.features[~batch.mask] = math.nan  # nothing of padding gets into a frame
    mixed, others = mix_utterances(batch, share)
    for row, length in enumerate(lengths):
        partner = (row - 1) % len(lengths)
        both = min(length, lengths[partner])
        x, y = batch.features[row, :both], batch.features[partner, :both]
        torch.testing.assert_close(mixed.features[row, :both], share * x + (1 - share) * y)
        assert torch.equal(mixed.features[row, both:length], batch.features[row, both:length])
        assert torch.equal(others[row, :both], batch.labels[partner, :both])
        assert torch.equal(others[row, both:], batch.labels[row, both:])
    assert torch.equal(mixed.labels, batch.labels)


def test_an_utterance_alone_stays_as_it_is():
    batch = batch_of([5])
    mixed, others = mix_utterances(batch, 0.6)
    assert torch.equal(mixed.features, batch.features)
    assert torch.equal(others, batch.labels)


def test_the_loss_of_a_mixed_frame_is_that_of_the_mixed_target():
    batch = batch_of([5, 3, 4])
    batch.labels[1, 1] = NONE
    _, others = mix_utterances(batch, 0.7)
    labellings = [(0.7, batch.labels), (0.3, others)]
    logits = logits_of(batch.labels, CLASSES)
    expected, count = 0.0, 0.0
    for share, labels in labellings:
        known = labels != NONE
        count += share * int(known.sum())
        expected += share * cross_entropy(logits[known], labels[known], reduction="sum")
    assert count == pytest.approx(12 - 1)  # known as one's own in 11, as the other's in 11
    torch.testing.assert_close(weigh(lambda x: frame_loss(logits, x), labellings), expected)
    assert float(weigh(labelled_frames, labellings)) == pytest.approx(count)


@pytest.mark.parametrize("strength", [1e-4, 0.4, 8.0])
def test_shares_are_the_larger_halves_of_a_beta_and_come_from_the_seed(strength):
    torch.manual_seed(0)
    shares = torch.tensor([draw_share(strength) for _ in range(4000)])
    torch.manual_seed(0)
    assert draw_share(strength) == shares[0]
    assert shares.min() >= 0.5
    assert shares.max() <= 1
    variance = 0.25 / (2 * strength + 1)  # of a Beta(a, a)
    assert float((shares - 0.5).square().mean()) == pytest.approx(variance, rel=0.05)
