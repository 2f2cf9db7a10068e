"""What the accuracy of the best trial is made of, in matrices whose make-up is known."""

from dataclasses import replace

import numpy as np
import pytest

from phoneme_lightning.inference.confusion_file import Confusion, write_confusion
from phoneme_lightning.phones import NUM_PHONES, PHONES, SILENCE
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.findings.phones import phones
from phoneme_lightning.sweep.findings.simulate import World, simulate

S, Z, ZH, T = (PHONES.index(phone) for phone in ("S", "Z", "ZH", "T"))


@pytest.fixture(scope="module")
def evidence():
    return simulate(World(1, arms=1), 0)


@pytest.fixture
def counts():
    """Of each phone 1,000 frames, 800 of them right and the others taken for T."""
    made = np.diag(np.full(NUM_PHONES, 800))
    made[:, T] += 200
    return made


def test_silence_is_told_apart_from_speech(evidence, counts):
    counts[SILENCE] *= 40  # as many frames as all phones
    counts[SILENCE, SILENCE] = 39_040
    counts[SILENCE, T] = 960
    one, *_ = phones(replace(evidence, confusion=Confusion(counts)))
    assert one.verdict == "info"
    assert one.numbers["silence_share"] == pytest.approx(0.5)
    assert one.numbers["accuracy_without_silence"] == pytest.approx((39 * 800 + 1000) / 40_000)
    assert "71,240 of 80,000 frames right, 89.0%" in one.sentence
    assert "50.0% of them are silence, of which it gets 97.6%" in one.sentence
    assert "without silence it gets 32,200 of 40,000, 80.5%" in one.sentence


def test_the_costliest_confusion_is_named_with_its_frames(evidence, counts):
    counts[S, Z] = 1234
    _, one, _ = phones(replace(evidence, confusion=Confusion(counts)))
    assert next(iter(one.numbers["top"].items())) == ("S for Z", 1234)
    assert "S for Z (1,234)" in one.sentence
    assert one.numbers["mistakes"] == 1234 + 40 * 200


def test_a_phone_too_rare_to_judge_is_named_with_its_counts(evidence, counts):
    *_, plenty = phones(replace(evidence, confusion=Confusion(counts)))
    assert plenty.verdict == "ok"
    counts[ZH] = 0
    counts[ZH, ZH], counts[ZH, T] = 3, 9
    *_, one = phones(replace(evidence, confusion=Confusion(counts)))
    assert one.verdict == "info"
    assert "ZH (3 of 12 right)" in one.sentence
    assert list(one.numbers["phones"]) == ["ZH"]
    rare = one.numbers["phones"]["ZH"]
    assert (rare["right"], rare["frames"]) == (3, 12)
    assert (rare["low"], rare["high"]) == pytest.approx((0.089, 0.532), abs=1e-3)


def test_phones_of_another_corpus_are_called_by_their_own_names(plant, tmp_path):
    trials = {"p000-all-s0": {"values": {}, "state": "completed", "curve": (0.1, 0.5)}}
    folder = plant(tmp_path / "one", trials)
    counts = np.array([[900, 50, 50], [700, 300, 0], [0, 3, 1]])
    write_confusion(folder.attempt("p000-all-s0", 1), counts, ("pau", "ʃ", "zh"))
    silence, costly, rare = phones(read_evidence(folder))
    assert "49.9% of them are silence, of which it gets 90.0%" in silence.sentence
    assert next(iter(costly.numbers["top"].items())) == ("ʃ for pau", 700)
    assert "zh (1 of 4 right)" in rare.sentence
    write_confusion(folder.attempt("p000-all-s0", 1), counts, ("a", "ʃ", "zh"))
    silence, *_ = phones(read_evidence(folder))
    assert "None of its phones has a name by which silence is known" in silence.sentence
    assert silence.numbers["accuracy_without_silence"] == pytest.approx(1201 / 2004)


def test_a_net_that_makes_no_mistake_has_none_named(evidence):
    found = phones(replace(evidence, confusion=Confusion(np.diag(np.full(NUM_PHONES, 500)))))
    assert [one.verdict for one in found] == ["info", "ok"]


def test_the_best_trials_matrix_is_read_from_its_folder(plant, tmp_path, counts):
    trials = {
        f"p{n:03d}-all-s0": {"values": {}, "state": "completed", "curve": (0.1, best)}
        for n, best in enumerate([0.5, 0.9, 0.7])
    }
    folder = plant(tmp_path / "one", trials)
    (unknown,) = phones(read_evidence(folder))
    assert unknown.verdict == "unknown"
    assert unknown.action == "phoneme-sweep repro one best"
    for n, factor in enumerate((1, 2, 3)):
        write_confusion(folder.attempt(f"p{n:03d}-all-s0", 1), factor * counts)
    one, *_ = phones(read_evidence(folder))
    assert one.numbers["trial"] == "p001-all-s0"
    assert one.numbers["frames"] == 2 * counts.sum()


def test_a_round_without_a_completed_trial_has_no_phones(evidence):
    (one,) = phones(replace(evidence, trials=[]))
    assert (one.verdict, one.action) == ("unknown", None)
