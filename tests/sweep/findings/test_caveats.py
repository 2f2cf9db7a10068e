"""What is held fixed and mattered before, in rounds whose truth is known."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.special import fdtrc

from phoneme_lightning.sweep.findings.caveats import caveats, mattered
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.findings.simulate import World, simulate
from phoneme_lightning.sweep.round import Goal, Scientific
from phoneme_lightning.sweep.round_file import dump_round
from phoneme_lightning.sweep.spaces import Uniform

LR, KNOB, SCHEDULE = "model.optimizer.init_args.lr", "model.knob_1", "model.schedule"
SMOOTH = "model.label_smoothing"


@cache
def earlier(effect=5.0, others=0.0, gap=0.0, seed=0):
    """A round that varied a learning rate, a knob and a schedule."""
    evidence = simulate(World(2, effect=effect, others=others, gap=gap, optimum=0.5), seed)
    names = {"arm0": "constant", "arm1": "cosine"}
    trials = [
        replace(
            record,
            arm=names[record.arm],
            values={**record.values, SCHEDULE: names[record.arm]},
        )
        for record in evidence.trials
    ]
    round = replace(
        evidence.round, name="one", scientific={SCHEDULE: Scientific(["constant", "cosine"])}
    )
    return replace(evidence, round=round, trials=trials)


def later(*parents, held=None, **changes):
    """A round that follows, and varies nothing that the earlier one did."""
    evidence = simulate(World(1, arms=1), 1)
    goal = Goal("And now?", parent=parents[0].round.name if parents else None)
    said = {"name": "two", "goal": goal, "nuisance": {"model.other": Uniform(0.0, 1.0)}} | changes
    trials = [
        replace(record, values={"model.other": record.values[LR]}) for record in evidence.trials
    ]
    settings = {record.trial: held or {} for record in trials}
    round = replace(evidence.round, **said)
    return replace(evidence, round=round, trials=trials, settings=settings, parents=parents)


def told(evidence):
    return {one.key: one for one in caveats(evidence) if one.key}


def test_a_fixed_hyperparameter_that_mattered_is_a_caveat_and_one_that_did_not_is_none():
    found = told(later(earlier(), held={LR: 1e-3, KNOB: 1e-3, SCHEDULE: "cosine"}))
    assert set(found) == {LR}
    assert found[LR].verdict == "info"
    assert found[LR].numbers["round"] == "one"
    assert found[LR].numbers["chance"] < 1e-3
    assert "held at 0.001 here. It mattered in one" in found[LR].sentence


def test_a_value_that_was_not_among_the_best_is_said():
    best = told(later(earlier(), held={LR: 3.2e-3}))[LR]
    poor = told(later(earlier(), held={LR: 1e-1}))[LR]
    assert (best.action, "another value" in best.sentence) == (None, False)
    assert "another value" in poor.sentence
    assert poor.action == f"phoneme-sweep next-round two  # with {LR} under nuisance"


def test_a_choice_that_mattered_is_a_caveat():
    lead = earlier(gap=4.0)
    found = told(later(lead, held={SCHEDULE: "constant", LR: 1e-3}))
    assert "best 3 points had cosine, which is another value" in found[SCHEDULE].sentence
    assert SCHEDULE not in told(later(lead, held={LR: 1e-3}, scientific=lead.round.scientific))


def test_what_this_round_varies_itself_is_no_caveat():
    assert not told(later(earlier(), held={LR: 1e-3}, nuisance={LR: Uniform(0.0, 1.0)}))


def test_a_round_two_rounds_back_counts():
    between = later(held={LR: 1e-3}, name="between")
    assert told(later(between, earlier(), held={LR: 1e-3}))[LR].numbers["round"] == "one"


def test_of_two_earlier_rounds_the_nearer_one_is_told():
    nearer = replace(earlier(seed=1), round=replace(earlier().round, name="nearer"))
    found = [one for one in caveats(later(nearer, earlier(), held={LR: 1e-3})) if one.key]
    assert [one.numbers["round"] for one in found] == ["nearer"]


def test_luck_makes_few_caveats():
    held = {LR: 1e-3, KNOB: 1e-3, SCHEDULE: "cosine"}
    nothing = [len(told(later(earlier(0.0, 0.0, 0.0, n), held=held))) for n in range(100)]
    assert sum(map(bool, nothing)) <= 6  # 5 at most are expected


def test_a_choice_of_many_values_has_no_more_luck_than_one_of_two():
    chances = []
    for seed in range(60):
        evidence = simulate(World(1, arms=4, effect=0.0), seed)
        trials = [
            replace(record, values={**record.values, "model.choice": record.arm})
            for record in evidence.trials
        ]
        chances.append(mattered("model.choice", replace(evidence, trials=trials)))
    assert sum(chance < 0.05 for chance in chances) <= 4


def test_the_parts_of_a_scientific_range_are_compared():
    evidence = simulate(World(1, arms=2, effect=0.0, gap=4.0), 0)
    asked = replace(evidence.round, scientific={KNOB: Scientific(range=Uniform(0, 1), buckets=2)})
    arms = dict(zip(evidence.arms(), ("knob_1 0..0.5", "knob_1 0.5..1"), strict=True))
    trials = [
        replace(
            record,
            arm=arms[record.arm],
            values={**record.values, KNOB: 0.5 * (record.arm == "arm1") + 0.02 * record.point},
        )
        for record in evidence.trials
    ]
    assert mattered(KNOB, replace(evidence, round=asked, trials=trials)) < 0.01


def test_the_f_test_is_the_usual_one():
    evidence = simulate(World(1, arms=1, effect=0.5), 3)
    (branch,) = evidence.branches()
    points, scores = evidence.completed_points(branch)
    line = np.polynomial.Polynomial.fit(points[:, 0], scores, 2)
    rest = float(((scores - line(points[:, 0])) ** 2).sum())
    ratio = (float(((scores - scores.mean()) ** 2).sum()) - rest) / 2 / (rest / 17)
    assert mattered(LR, evidence) == pytest.approx(float(fdtrc(2, 17, ratio)), rel=1e-6)


def test_too_few_points_tell_nothing():
    assert mattered(LR, simulate(World(1, points=8, arms=1, effect=9.0), 0)) == 1.0
    assert mattered(LR, simulate(World(1, points=9, arms=1, effect=9.0), 0)) < 0.05


def test_effects_are_seen_from_three_seed_sigma_on():
    chances = [mattered(KNOB, earlier(3.0, 3.0, 0.0, seed)) for seed in range(20)]
    assert sum(chance < 0.05 for chance in chances) >= 17


def test_the_rounds_own_caveats_and_fixed_values_are_listed():
    plain, *_ = caveats(later(fixed={"model.norm": "layer"}, caveats=["A small net."]))
    assert plain.verdict == "info"
    assert "model.norm at layer and 2,000 steps" in plain.sentence
    assert plain.sentence.endswith("A small net.")


@pytest.fixture
def folders(plant, tmp_path):
    """Give a round of which a learning rate mattered, and one that follows and holds it."""
    scores = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    plant(
        tmp_path / "one",
        {
            f"p{n:03d}-all-s0": {
                "values": {LR: 10 ** (-4 + n / 3)},
                "state": "completed",
                "curve": (score + 0.01 * (n % 3),),
            }
            for n, score in enumerate(scores)
        },
    )
    held = {"p000-all-s0": {"values": {SMOOTH: 0.1}, "state": "completed", "curve": (0.5,)}}
    nuisance = {SMOOTH: Uniform(0.0, 0.5)}
    return plant(tmp_path / "two", held, goal=Goal("?", parent="one"), nuisance=nuisance)


def test_the_parent_is_read_from_the_folder_beside_and_a_lost_one_is_said(folders, tmp_path):
    assert "mattered in one" in told(read_evidence(folders))[LR].sentence
    (tmp_path / "one").rename(tmp_path / "elsewhere")
    found = caveats(read_evidence(folders))
    assert [one.verdict for one in found] == ["info", "unknown"]
    assert "two follows from one, which is not here" in found[1].sentence


def test_a_kept_parent_is_found_and_rounds_in_a_ring_end(plant, tmp_path, folders):
    kept = tmp_path / "results/rounds"
    kept.mkdir(parents=True)
    (tmp_path / "one").rename(kept / "one")
    run = tmp_path / "runs/rounds"
    run.mkdir(parents=True)
    two = folders.path.rename(run / "two")
    ring = read_evidence(type(folders)(two))
    assert [parent.round.name for parent in ring.parents] == ["one"]
    first = replace(ring.parents[0].round, goal=Goal("?", parent="two"))
    (kept / "one/round.yaml").write_text(dump_round(first))
    ring = read_evidence(type(folders)(two))
    assert [parent.round.name for parent in ring.parents] == ["one"]
    assert {one.verdict for one in caveats(ring)} == {"info"}
