"""What is chosen on one half of validation scores the other, and nothing else."""

from itertools import groupby

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.cross_fit import CANDIDATES, cross_fit, halve
from phoneme_lightning.inference.decoding import Decoder, PhoneModel
from phoneme_lightning.inference.viterbi import viterbi

SPEAKERS = [f"s{index % 4}" for index in range(12)]


@pytest.fixture
def heard():
    """Give a model of three phones with long runs, and the log-probabilities of 12 utterances."""
    draw = np.random.default_rng(0)
    log_next = np.log(np.full((3, 3), 0.05, dtype=np.float32))
    np.fill_diagonal(log_next, -np.inf)
    prior, stay = np.log(np.float32([0.6, 0.3, 0.1])), np.log(np.full(3, 0.9, dtype=np.float32))
    log_probs = [np.log(draw.dirichlet(np.ones(3), size=40)) for _ in SPEAKERS]
    return log_probs, PhoneModel(prior, stay, log_next, np.ones(3, dtype=np.int64))


def test_halves_share_no_speaker():
    first = halve(SPEAKERS)
    names = np.array(SPEAKERS)
    assert set(names[first]).isdisjoint(names[~first])
    assert first.sum() == 6
    assert halve(["one"] * 5).sum() == 2
    with pytest.raises(InputError, match="--decode needs two utterances"):
        halve(["one"])


def test_a_half_is_decoded_as_the_other_half_chose(heard):
    log_probs, phones = heard
    in_first = halve(SPEAKERS)
    # The labels of the first half are what each frame alone says, of the second few long runs.
    quick, slow = (viterbi(log_probs, phones, CANDIDATES[place]) for place in (0, -1))
    labels = [q if first else s for q, s, first in zip(quick, slow, in_first, strict=True)]
    fit = cross_fit(log_probs, labels, SPEAKERS, phones, np.arange(3))
    assert fit.of_halves[0] == CANDIDATES[0] == Decoder(0.0, 0.0)
    assert fit.of_halves[1].transition_weight >= 1
    assert np.array_equal(fit.in_first, in_first)
    expected = [viterbi(log_probs, phones, decoder) for decoder in fit.of_halves]
    for place, first in enumerate(in_first):
        assert np.array_equal(fit.paths[place], expected[1 if first else 0][place])
    assert not np.array_equal(expected[0][0], expected[1][0])


def test_what_is_scored_as_one_is_chosen_by_as_one(heard):
    log_probs, phones = heard
    # What each frame alone says, but for class 1, which is labelled 2.
    labels = [np.array([0, 2, 2])[path] for path in viterbi(log_probs, phones, CANDIDATES[0])]
    apart = cross_fit(log_probs, labels, SPEAKERS, phones, np.arange(3))
    assert apart.of_all != CANDIDATES[0]
    folded = cross_fit(log_probs, labels, SPEAKERS, phones, np.array([1, 0, 0]))
    assert folded.of_all == CANDIDATES[0]


def test_a_frame_without_a_label_is_never_right(heard):
    log_probs, phones = heard
    none = [np.full(40, -1, dtype=np.int8) for _ in SPEAKERS]
    fit = cross_fit(log_probs, none, SPEAKERS, phones, np.array([0, 0, 1]))
    assert fit.of_all == CANDIDATES[0]


def spoken(seed, noise, shortest):
    """Give labels of 12 utterances, what a net hears of them, better of some, and a model."""
    draw = np.random.default_rng(seed)
    log_next = np.log(np.full((3, 3), 0.05, dtype=np.float32))
    np.fill_diagonal(log_next, -np.inf)
    prior, stay = np.log(np.float32([0.6, 0.3, 0.1])), np.log(np.full(3, 0.9, dtype=np.float32))
    phones = PhoneModel(prior, stay, log_next, np.full(3, shortest))
    least = draw.integers(2, 6, 12)
    labels = [draw.integers(0, 3, 40).repeat(draw.integers(k, 7, 40))[:40] for k in least]
    heard = []
    for known in labels:
        rows = draw.normal(size=(40, 3)) * noise * draw.choice([0.5, 1, 2.5])
        rows[np.arange(40), known] += 1
        heard.append(rows - np.logaddexp.reduce(rows, axis=1, keepdims=True))
    return heard, labels, phones


def count(paths, labels):
    """Count right frames and edits of phones, each (utterances,)."""
    pairs = [
        [[phone for phone, _ in groupby(classes.tolist())] for classes in both]
        for both in zip(paths, labels, strict=True)
    ]
    right = [(path == known).sum() for path, known in zip(paths, labels, strict=True)]
    return np.array(right), np.array([Levenshtein.distance(*pair) for pair in pairs])


def is_luck(short):
    """Say whether frames that utterances fall short by are within a standard error of none."""
    return short.sum() <= short.std(ddof=1) * len(short) ** 0.5 + 1e-6


def choose(seed, noise, shortest):
    """Give the choice among all decoders, and of each its right frames, edits, and whether luck."""
    heard, labels, phones = spoken(seed, noise, shortest)
    fit = cross_fit(heard, labels, SPEAKERS, phones, np.arange(3))
    counts = [count(viterbi(heard, phones, decoder), labels) for decoder in CANDIDATES]
    right, edits = (np.array(part) for part in zip(*counts, strict=True))
    plain = sum(count([x.argmax(axis=1) for x in heard], labels)[0])
    near = np.array([is_luck(right[right.sum(axis=1).argmax()] - own) for own in right])
    return CANDIDATES.index(fit.of_all), right.sum(axis=1), edits.sum(axis=1), near, plain


def test_phones_choose_among_decoders_that_luck_cannot_tell_apart_by_frames():
    chosen, right, edits, near, plain = choose(16, 0.3, 1)
    assert near[chosen]
    assert plain <= right[chosen] < right.max()
    assert edits[chosen] == edits[near & (right >= plain)].min() < edits[right.argmax()]


def test_phones_do_not_buy_more_frames_than_luck_may_take():
    chosen, right, edits, near, plain = choose(3, 0.3, 3)
    assert near[chosen]
    assert edits[chosen] > edits[~near & (right >= plain)].min()


def test_phones_do_not_buy_frames_that_the_likeliest_classes_get_right():
    chosen, right, edits, near, plain = choose(2, 0.3, 3)
    assert right[chosen] >= plain
    assert edits[chosen] > edits[near & (right < plain)].min()


def test_where_no_decoder_gets_as_many_right_as_the_likeliest_classes_frames_choose():
    chosen, right, edits, near, plain = choose(3, 0.15, 4)
    assert right.max() < plain
    assert chosen == right.argmax()
    assert edits[chosen] > edits[near].min()


@pytest.mark.parametrize(
    ("seed", "noise", "shortest", "worse"), [(24, 0.3, 1, True), (0, 0.15, 3, False)]
)
def test_decoding_is_worse_where_it_has_more_edits_and_not_where_it_loses_frames(
    seed, noise, shortest, worse
):
    heard, labels, phones = spoken(seed, noise, shortest)
    fit = cross_fit(heard, labels, SPEAKERS, phones, np.arange(3))
    right, edits = count(fit.paths, labels)
    before, edits_before = count([x.argmax(axis=1) for x in heard], labels)
    assert right.sum() < before.sum()
    assert (edits.sum() > edits_before.sum()) == worse == fit.is_worse
