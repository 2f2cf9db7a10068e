"""What trials of one round ran on, and whether it differs as the arms do."""

from dataclasses import replace

from phoneme_lightning.sweep.findings.mixed import mixture
from phoneme_lightning.sweep.findings.simulate import World, simulate


def judge(environment):
    """Judge a round of two arms; `environment` gives a trial's from its arm and point."""
    evidence = simulate(World(1, points=4), 0)
    trials = [
        replace(record, environment=environment(record.arm, record.point))
        for record in evidence.trials
    ]
    (one,) = mixture(replace(evidence, trials=trials))
    return one


def told(torch="2.15", host="one"):
    return {"versions": {"torch": torch}, "host": host, "precision": "32-true"}


def test_trials_that_ran_alike_are_in_order():
    assert judge(lambda arm, point: told()).verdict == "ok"
    assert judge(lambda arm, point: {}).verdict == "unknown"


def test_what_differs_is_named_with_its_trials():
    one = judge(lambda arm, point: told(host="two" if point == 0 else "one"))
    assert one.verdict == "info"
    assert one.numbers["differs"] == {"host": "one (6 of 8 trials), two (2 of 8 trials)"}
    assert "host: one (6 of 8 trials)" in one.sentence
    assert one.numbers["with_the_arms"] == []
    assert "Each arm" not in one.sentence


def test_what_differs_as_the_arms_do_may_be_taken_for_their_difference():
    one = judge(lambda arm, point: told("2.14" if arm == "arm0" else "2.15", f"host{point}"))
    assert set(one.numbers["differs"]) == {"versions.torch", "host"}
    assert one.numbers["with_the_arms"] == ["versions.torch"]
    assert "Each arm has its own versions.torch" in one.sentence
