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


def test_trials_that_fail_anywhere_have_no_limit():
    evidence = [simulate(World(2, arms=1, infeasible=0.4), seed) for seed in range(40)]
    found = [limits(one, branch) for one in evidence for branch in one.branches()]
    assert sum(map(bool, found)) <= 6
