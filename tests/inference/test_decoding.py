"""The likeliest path, against all paths; what is learnt of phones, against a count by hand."""

from dataclasses import replace
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.inference.decoding import Decoder, PhoneModel, learn_phones
from phoneme_lightning.inference.viterbi import OnlineViterbi, viterbi


def draw_phones(draw, shortest, classes=3):
    """Give a model of a few phones, with probabilities drawn at random.

    `shortest` is of each phone, or one number of all.
    """
    rows = draw.dirichlet(np.ones(classes), size=classes)
    log_next = np.log(rows)
    stay = np.diag(log_next).copy()
    np.fill_diagonal(log_next, -np.inf)
    prior = np.log(draw.dirichlet(np.ones(classes)))
    tables = (x.astype(np.float32) for x in (prior, stay, log_next))
    return PhoneModel(*tables, np.broadcast_to(shortest, classes))


def runs_of(path):
    return [(phone, len(list(run))) for phone, run in groupby(path)]


def score_of(path, log_probs, phones, decoder):
    """Score a path as the docstring of `viterbi` says, run by run."""
    runs, shortest = runs_of(path), phones.shortest.tolist()
    if any(length < shortest[phone] for phone, length in runs[1:]):
        return -np.inf
    heard = log_probs - decoder.prior_weight * phones.log_prior
    score = heard[np.arange(len(path)), list(path)].sum()
    for place, (phone, length) in enumerate(runs):
        free = shortest[phone] if place else 1
        score += decoder.transition_weight * (length - free) * phones.log_stay[phone]
        if place:
            before = runs[place - 1][0]
            score += decoder.transition_weight * phones.log_next[before, phone]
    return score


@given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    shortest=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    decoder=st.builds(Decoder, st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from([0.0, 0.5])),
)
def test_no_path_scores_higher(seed, lengths, shortest, decoder):
    draw = np.random.default_rng(seed)
    phones = draw_phones(draw, shortest)
    heard = [np.log(draw.dirichlet(np.ones(3), size=length)) for length in lengths]
    for path, log_probs in zip(viterbi(heard, phones, decoder), heard, strict=True):
        best = max(
            score_of(other, log_probs, phones, decoder)
            for other in product(range(3), repeat=len(log_probs))
        )
        assert path.dtype == np.uint8
        assert score_of(path.tolist(), log_probs, phones, decoder) == pytest.approx(best, abs=1e-4)


def test_more_utterances_than_are_taken_at_once_come_back_in_their_order():
    draw = np.random.default_rng(0)
    phones, decoder = draw_phones(draw, 2), Decoder(1.0, 0.5)
    heard = [np.log(draw.dirichlet(np.ones(3), size=draw.integers(1, 40))) for _ in range(150)]
    together = viterbi(heard, phones, decoder)
    alone = [viterbi([log_probs], phones, decoder)[0] for log_probs in heard]
    assert all(map(np.array_equal, together, alone))


def test_with_nothing_asked_each_frame_is_its_likeliest_class():
    draw = np.random.default_rng(0)
    heard = [np.log(draw.dirichlet(np.ones(3), size=30))]
    [path] = viterbi(heard, draw_phones(draw, 1), Decoder(0.0, 0.0))
    assert np.array_equal(path, heard[0].argmax(axis=1))


def test_a_long_utterance_loses_no_digits():
    draw = np.random.default_rng(0)
    phones = draw_phones(draw, 3)
    heard = np.log(draw.dirichlet(np.ones(3), size=400))
    [alone] = viterbi([heard], phones, Decoder(1.0, 0.0))
    sure = np.array([np.log([1 - 2e-9, 1e-9, 1e-9])] * 5_000)
    [behind] = viterbi([np.concatenate([sure, heard])], phones, Decoder(1.0, 0.0))
    assert np.array_equal(behind[-350:], alone[-350:])


@given(
    seed=st.integers(0, 10_000),
    blocks=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    shortest=st.lists(st.integers(1, 5), min_size=4, max_size=4),
    decoder=st.builds(Decoder, st.sampled_from([0.0, 1.0, 3.0]), st.sampled_from([0.0, 0.5])),
    sureness=st.sampled_from([0.05, 1.0]),
)
def test_frames_that_keep_coming_lead_to_the_path_of_the_whole(
    seed, blocks, shortest, decoder, sureness
):
    draw = np.random.default_rng(seed)
    phones = draw_phones(draw, shortest, classes=4)
    sharp = np.full(4, sureness)
    heard = [np.log(draw.dirichlet(sharp, size=size) + 1e-9) for size in blocks]
    online = OnlineViterbi(phones, decoder)
    given = [online.push(block) for block in heard]
    whole = np.concatenate(heard)
    expected = viterbi([whole], phones, decoder)[0] if len(whole) else []
    assert np.concatenate([*given, online.finish()]).tolist() == list(expected)


@pytest.mark.parametrize("sure", [True, False])
def test_little_is_kept_of_frames_that_keep_coming(sure):
    draw = np.random.default_rng(0)
    online = OnlineViterbi(draw_phones(draw, 3), Decoder(1.0, 0.5))
    silence = np.log([[0.98, 0.01, 0.01]])
    waiting = 0
    for _ in range(50):
        block = silence.repeat(200, 0) if sure else np.log(draw.dirichlet(np.ones(3), size=200))
        waiting += 200 - len(online.push(block))
        assert waiting < 50
    assert len(online.finish()) == waiting


def store_of(path, labels):
    """Write a store of training utterances, and of a test utterance whose labels nobody knows."""
    with StoreWriter(path, coefficients=13) as writer:
        for number, classes in enumerate(labels):
            features = np.zeros((len(classes), 13), dtype=np.float32)
            writer.add(f"u{number}", f"u{number}", features, np.array(classes))
        writer.add("test", "test", np.zeros((7, 13), dtype=np.float32), None)
        splits = {"utterance": np.array([0] * len(labels) + [2])}
        writer.finish(corpus="counted", splits=splits, settings={}, counts={})
    return FrameStore(path)


def test_runs_and_what_follows_them_are_counted(tmp_path):
    labels = [[0, 0, 0, 0, 2, 2, 5, 5, 5, 2], [2, 0, 0, 0, -1, 0, 0]]
    counted = store_of(tmp_path / "store", labels)
    phones = learn_phones(counted, counted.split("utterance", "train"))
    # Only runs 2 2 and 5 5 5 have both neighbours; an unlabelled frame is taken out.
    assert phones.shortest[[0, 2, 5]].tolist() == [1, 2, 3]
    assert set(np.delete(phones.shortest, [2, 5])) == {1}  # nothing is known of them
    frames = np.ones(41)
    frames[[0, 2, 5]] += [9, 4, 3]
    assert np.exp(phones.log_prior) == pytest.approx(frames / frames.sum())
    # Class 0 has 9 frames in 2 runs; but for 1 frame each, 7 stayed.
    ends = 40 + 1
    assert np.exp(phones.log_stay[0]) == pytest.approx(8 / (8 + ends))
    assert np.exp(phones.log_next[0, [0, 1, 2]]) == pytest.approx(np.array([0, 1, 2]) / (8 + ends))
    every = np.exp(phones.log_stay) + np.exp(phones.log_next).sum(axis=1)
    assert every == pytest.approx(np.ones(41))


@pytest.mark.parametrize(("amiss", "shortest"), [(2, 3), (3, 1)])
def test_one_run_in_a_hundred_that_is_labelled_amiss_says_nothing_of_phones(
    tmp_path, amiss, shortest
):
    lengths = [1] * amiss + [3] * (200 - amiss)
    labels = [5] + [phone for length in lengths for phone in [0] * length + [1, 1]] + [5]
    store = store_of(tmp_path / "store", [labels])
    phones = learn_phones(store, store.split("utterance", "train"))
    assert phones.shortest[:2].tolist() == [shortest, 2]
    # A run that is shorter than that has no frame that stayed.
    stays, ends = 1 + sum(max(0, length - shortest) for length in lengths), 40 + 200
    assert np.exp(phones.log_stay[0]) == pytest.approx(stays / (stays + ends))


def test_a_prior_taken_out_brings_rare_phones_back():
    phones = replace(
        draw_phones(np.random.default_rng(0), 1), log_prior=np.log(np.float32([0.90, 0.05, 0.05]))
    )
    heard = [np.log([[0.5, 0.4, 0.1]])]
    [plain], [weighed] = (viterbi(heard, phones, Decoder(0.0, weight)) for weight in (0.0, 0.5))
    assert (plain.tolist(), weighed.tolist()) == ([0], [1])
