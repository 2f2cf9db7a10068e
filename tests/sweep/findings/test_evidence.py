import json
import subprocess
import sys

import numpy as np
import pytest

from phoneme_lightning.sweep.findings.diagnose import diagnose, to_json
from phoneme_lightning.sweep.findings.evidence import Evidence, read_evidence
from phoneme_lightning.sweep.findings.seeds import seed_sigma
from phoneme_lightning.sweep.findings.simulate import World, simulate
from phoneme_lightning.sweep.records import Measured, TrialRecord, measure
from phoneme_lightning.sweep.round import Budget, Conditional, Goal, Round, Scientific, Training
from phoneme_lightning.sweep.spaces import Categorical, Log, Uniform

LR = "model.optimizer.init_args.lr"


def test_a_simulated_trial_measures_what_its_curve_says():
    for curve in ("settled", "overfit", "noisy"):
        evidence = simulate(World(curve=curve, infeasible=0.2), 1)
        for record in evidence.trials:
            if record.state == "completed":
                seen = measure(evidence.curves[record.trial], evidence.round.objective)
                assert seen == pytest.approx(record.measured)


def test_a_seed_gives_a_round():
    one, two, other = simulate(World(), 3), simulate(World(), 3), simulate(World(), 4)
    assert one.trials == two.trials != other.trials


def test_a_folder_is_read(plant, tmp_path):
    trials = {
        f"p{n:03d}-all-s0": {"values": {LR: 10.0 ** (n - 4)}, "state": "completed", "curve": curve}
        for n, curve in enumerate([(0.1, 0.5, 0.4), (0.2, 0.3)])
    }
    trials["p002-all-s0"] = {"values": {LR: 1.0}, "state": "infeasible", "cause": "nan"}
    trials["p003-all-s0"] = {"values": {LR: 0.5}}
    evidence = read_evidence(plant(tmp_path / "one", trials))
    assert evidence.arms() == ["all"]
    assert [record.point for record in evidence.completed("all")] == [0, 1]
    steps, values = evidence.curve(evidence.completed("all")[0])
    assert (steps.tolist(), values.tolist()) == ([10, 20, 30], [0.1, 0.5, 0.4])
    (branch,) = evidence.branches()
    cube = evidence.coordinates(branch, evidence.completed("all"))
    assert cube == pytest.approx(np.array([[0.0], [0.25]]))
    (share,) = [one for one in diagnose(evidence) if one.rule == "infeasible"]
    assert (share.numbers["infeasible"], share.numbers["of"]) == (1, 3)


def test_trials_that_tune_different_things_are_judged_apart():
    adam = {"model.kind": "adam"}
    asked = Round(
        Goal("?"),
        ["configs/rnn.yaml"],
        Budget(4),
        Training(10, 5),
        scientific={"model.kind": Scientific(["sgd", "adam"])},
        nuisance={LR: Log(1e-4, 1.0), "model.choice": Categorical(["a", "b"])},
        conditional=[Conditional(adam, {LR: Log(1e-5, 1e-1), "model.eps": Uniform(0.0, 1.0)})],
    )
    trials = [
        TrialRecord(
            f"p{n}", arm, n, 0, {"model.kind": arm, LR: 1e-2, "model.eps": 0.5}, "completed"
        )
        for n, arm in enumerate(["sgd", "adam", "sgd"])
    ]
    sgd, other = Evidence(asked, trials, {}).branches()
    assert (sgd.arm, list(sgd.spaces), len(sgd.trials)) == ("sgd", [LR], 2)
    assert (other.arm, other.spaces) == ("adam", asked.conditional[0].nuisance)


def test_seeds_of_a_point_give_the_seed_sigma():
    draw = np.random.default_rng(0)
    base = simulate(World(1, arms=1), 0)
    trials = [
        TrialRecord(
            f"p{point}-s{seed}",
            "all",
            point,
            seed,
            {LR: 10.0 ** (-4 + 0.15 * point)},
            "completed",
            measured=Measured(value, 100, value, value),
        )
        for point in range(20)
        for seed in range(3)
        for value in [0.1 * point + 0.01 * draw.standard_normal()]
    ]
    evidence = Evidence(base.round, trials, {})
    assert seed_sigma(evidence) == pytest.approx(0.01, rel=0.35)
    (branch,) = evidence.branches()
    points, scores = evidence.completed_points(branch)
    assert points.shape == (20, 1)
    assert scores.shape == (20,)


def test_findings_become_json():
    found = diagnose(simulate(World(2, optimum=1.0, infeasible=0.1), 0))
    read = json.loads(to_json(found))
    assert [one["rule"] for one in read] == [one.rule for one in found]
    assert read[0].keys() == {
        *("rule", "verdict", "sentence", "numbers", "figure", "action", "arm", "key", "playbook")
    }


def test_findings_load_nothing_heavy():
    program = """
import sys
import phoneme_lightning.sweep.findings.calibrate
print(*sorted({"lightning", "matplotlib", "optuna", "plotly", "torch", "wandb"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("\n", 0), done.stderr
