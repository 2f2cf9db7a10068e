"""For whom validation speaks, in splits whose speakers are known."""

from dataclasses import replace

import pytest

from phoneme_lightning.sweep.findings.simulate import World, simulate
from phoneme_lightning.sweep.findings.speakers import speakers


def split(speakers, known, utterances=100, both=0):
    return {
        "utterances": utterances,
        "utterances_in_train": both,
        "frames": 500 * utterances,
        "speakers": speakers,
        "speakers_in_train": known,
    }


def facts(by, validation, test):
    return {"by": by, "train": split(50, 50, 900, 900), "validation": validation, "test": test}


def judge(*splits):
    """Judge a round of two arms whose trials have these splits, the arms in turn."""
    evidence = simulate(World(1, points=4), 0)
    trials = [
        replace(
            record,
            environment={
                "corpus": {"name": "timit"},
                "splits": splits[evidence.arms().index(record.arm) % len(splits)],
            },
        )
        for record in evidence.trials
    ]
    return speakers(replace(evidence, trials=trials))


def test_a_new_speaker_may_not_be_a_known_one():
    (one,) = judge(facts("speaker", split(10, 2), split(20, 0)))
    assert one.verdict == "block"
    assert "2 of validation's 10 speakers are in train" in one.sentence
    assert "phoneme-data info data/timit" in one.action


@pytest.mark.parametrize("by", ["speaker", "utterance"])
@pytest.mark.parametrize("where", ["validation", "test"])
def test_an_utterance_in_two_splits_blocks(by, where):
    splits = {"validation": split(10, 0), "test": split(20, 0)}
    (fine,) = judge(facts(by, **splits))
    assert fine.verdict == "ok"
    splits[where] = {**splits[where], "utterances_in_train": 3}
    (one,) = judge(facts(by, **splits))
    assert one.verdict == "block"
    assert f"3 of the 100 utterances of {where} are in train" in one.sentence


def test_known_speakers_are_right_where_the_test_has_them_too():
    (one,) = judge(facts("utterance", split(40, 40), split(30, 28)))
    assert (one.verdict, one.action) == ("info", None)
    assert "40 of validation's 40 speakers are in train" in one.sentence
    assert "not for new speakers" in one.sentence
    assert "So will the test's: 28 of its 30" in one.sentence


def test_a_test_of_other_speakers_than_validations_is_said():
    (one,) = judge(facts("utterance", split(40, 40), split(30, 0)))  # TIMIT by utterance
    assert one.verdict == "info"
    assert "expect less there: 0 of its 30" in one.sentence
    assert "data.split: speaker" in one.action
    (one,) = judge(facts("speaker", split(10, 0), split(30, 28)))
    assert one.verdict == "info"
    assert "expect more there: 28 of its 30" in one.sentence
    assert "data.split: utterance" in one.action


def test_a_corpus_without_a_test_split_still_speaks_for_somebody():
    (one,) = judge(facts("speaker", split(10, 0), split(0, 0, 0)))
    assert one.verdict == "ok"
    assert one.sentence.endswith("its accuracy speaks for new speakers.")
    (one,) = judge(facts("utterance", split(10, 3), split(0, 0, 0)))
    assert one.sentence.endswith("its accuracy speaks for known speakers and new ones.")


def test_arms_that_are_split_otherwise_are_judged_apart():
    good = facts("speaker", split(10, 0), split(20, 0))
    bad = facts("speaker", split(10, 1), split(20, 0))
    assert [(one.verdict, one.arm) for one in judge(good, bad)] == [
        ("ok", "arm0"),
        ("block", "arm1"),
    ]


def test_what_nobody_wrote_down_is_unknown():
    evidence = simulate(World(1, points=4), 0)
    (one,) = speakers(evidence)
    assert (one.verdict, one.action) == ("unknown", None)
    older = [replace(one, environment={"corpus": {"name": "spoken"}}) for one in evidence.trials]
    (one,) = speakers(replace(evidence, trials=older))
    assert one.verdict == "unknown"
    assert one.action == "phoneme-data info data/spoken --json"
