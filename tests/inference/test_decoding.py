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
    """Give a model of a few phones, with probabilities drawn at random."""
    rows = draw.dirichlet(np.ones(classes), size=classes)
    log_next = np.log(rows)
    stay = np.diag(log_next).copy()
    np.fill_diagonal(log_next, -np.inf)
    prior = np.log(draw.dirichlet(np.ones(classes)))
    return PhoneModel(*(x.astype(np.float32) for x in (prior, stay, log_next)), shortest)


def runs_of(path):
    return [(phone, len(list(run))) for phone, run in groupby(path)]


def score_of(path, log_probs, phones, decoder):
    """Score a path as the docstring of `viterbi` says, run by run."""
    runs = runs_of(path)
    if any(length < phones.shortest for _, length in runs[1:]):
        return -np.inf
    heard = log_probs - decoder.prior_weight * phones.log_prior
    score = heard[np.arange(len(path)), list(path)].sum()
    for place, (phone, length) in enumerate(runs):
        free = phones.shortest if place else 1
        score += decoder.transition_weight * (length - free) * phones.log_stay[phone]
        if place:
            before = runs[place - 1][0]
            score += decoder.transition_weight * phones.log_next[before, phone]
    return score


@given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    shortest=st.integers(1, 3),
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
    shortest=st.integers(1, 4),
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


@pytest.fixture
def counted(tmp_path):
    """Give a store of two training utterances and a test utterance whose labels nobody knows."""
    labels = [[0, 0, 0, 0, 2, 2, 5, 5, 5, 2], [2, 0, 0, 0, -1, 0, 0]]
    with StoreWriter(tmp_path / "store", coefficients=13) as writer:
        for name, classes in (("a", labels[0]), ("b", labels[1]), ("c", None)):
            length = 7 if classes is None else len(classes)
            known = None if classes is None else np.array(classes)
            writer.add(name, name, np.zeros((length, 13), dtype=np.float32), known)
        splits = {"utterance": np.array([0, 0, 2])}
        writer.finish(corpus="counted", splits=splits, settings={}, counts={})
    return FrameStore(tmp_path / "store")


def test_runs_and_what_follows_them_are_counted(counted):
    phones = learn_phones(counted, counted.split("utterance", "train"))
    # Only runs 2 2 and 5 5 5 have both neighbours; an unlabelled frame is taken out.
    assert phones.shortest == 2
    frames = np.ones(41)
    frames[[0, 2, 5]] += [9, 4, 3]
    assert np.exp(phones.log_prior) == pytest.approx(frames / frames.sum())
    # Class 0 has 9 frames in 2 runs; of 2 frames each, 5 are left that stayed.
    ends = 40 + 1
    assert np.exp(phones.log_stay[0]) == pytest.approx(6 / (6 + ends))
    assert np.exp(phones.log_next[0, [0, 1, 2]]) == pytest.approx(np.array([0, 1, 2]) / (6 + ends))
    every = np.exp(phones.log_stay) + np.exp(phones.log_next).sum(axis=1)
    assert every == pytest.approx(np.ones(41))


def test_a_prior_taken_out_brings_rare_phones_back():
    phones = replace(
        draw_phones(np.random.default_rng(0), 1), log_prior=np.log(np.float32([0.90, 0.05, 0.05]))
    )
    heard = [np.log([[0.5, 0.4, 0.1]])]
    [plain], [weighed] = (viterbi(heard, phones, Decoder(0.0, weight)) for weight in (0.0, 0.5))
    assert (plain.tolist(), weighed.tolist()) == ([0], [1])
