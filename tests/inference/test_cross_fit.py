"""What is chosen on one half of validation scores the other, and nothing else."""

import numpy as np
import pytest

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
    return log_probs, PhoneModel(prior, stay, log_next, 1)


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
