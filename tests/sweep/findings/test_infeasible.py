from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.infeasible import infeasible
from phoneme_lightning.sweep.findings.limits import limits
from phoneme_lightning.sweep.findings.simulate import World, simulate

ORDER = ["ok", "info", "warn", "block"]
WHOLE = simulate(World(2, arms=1), 0)


def with_infeasible(order):
    bad = {record.trial for record in order}
    trials = [
        replace(record, state="infeasible", cause="nan", measured=None)
        if record.trial in bad
        else record
        for record in WHOLE.trials
    ]
    return Evidence(WHOLE.round, trials, WHOLE.curves)


@settings(deadline=None, max_examples=30)
@given(st.permutations(WHOLE.trials))
def test_more_infeasible_trials_are_never_judged_more_mildly(order):
    found = [infeasible(with_infeasible(order[:n]))[0] for n in range(len(order) + 1)]
    severity = [ORDER.index(one.verdict) for one in found]
    assert severity == sorted(severity)
    assert (found[0].verdict, found[-1].verdict) == ("ok", "block")
    assert [one.numbers["infeasible"] for one in found] == list(range(len(order) + 1))


def test_a_limit_is_told_with_its_value():
    key = "model.optimizer.init_args.lr"
    evidence = simulate(World(2, arms=1, diverges_above=0.6), 3)
    (finding,) = infeasible(evidence)
    limit = finding.numbers["limits"][key]
    works = [r.values[key] for r in evidence.trials if r.state == "completed"]
    assert limit["upper"]
    assert abs(limit["value"] / max(works) - 1) < 1e-9
    assert finding.key == key
    assert "diverged" in finding.sentence


def test_without_arms_it_is_the_round_that_is_spoken_of():
    evidence = simulate(World(2, arms=1, infeasible=0.4), 3)
    (finding,) = infeasible(evidence)
    assert "settings of this round do not work" in finding.sentence
    assert "of arm0 " in infeasible(simulate(World(2, infeasible=0.4), 3))[0].sentence


def test_what_crowds_at_an_end_without_a_limit_has_an_action_too():
    """Infeasible from 0.3 on, but for the highest point, which works."""
    key = "model.optimizer.init_args.lr"
    whole = simulate(World(2, arms=1), 3)
    order = sorted(whole.trials, key=lambda record: record.values[key])
    bad = {record.trial for record in order[6:-1]}
    trials = [
        replace(one, state="infeasible", cause="nan", measured=None) if one.trial in bad else one
        for one in whole.trials
    ]
    (finding,) = infeasible(Evidence(whole.round, trials, whole.curves))
    assert finding.verdict == "block"
    assert "crowd at the upper end" in finding.sentence
    assert "repro simulated" in finding.action


def test_trials_that_fail_anywhere_have_no_limit():
    evidence = [simulate(World(2, arms=1, infeasible=0.4), seed) for seed in range(40)]
    found = [limits(one, branch) for one in evidence for branch in one.branches()]
    assert sum(map(bool, found)) <= 6
