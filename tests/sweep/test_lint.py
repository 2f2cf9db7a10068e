from dataclasses import replace
from pathlib import Path

import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.lint import RULES, lint
from phoneme_lightning.sweep.round import (
    Budget,
    Conditional,
    Goal,
    Objective,
    Pruning,
    Round,
    Sampler,
    Scientific,
    Training,
)
from phoneme_lightning.sweep.round_file import read_round
from phoneme_lightning.sweep.spaces import Categorical, Int, Log, Uniform

ROOT = Path(__file__).parents[2]
LR = "model.optimizer.init_args.lr"
OPTIMIZER = "model.optimizer.class_path"
DROPOUT = "model.backbone.init_args.dropout"
ADAM, SGD = "torch.optim.AdamW", "torch.optim.SGD"

RATE = {LR: Log(1e-4, 1e-1)}
CLEAN = Round(
    name="clean",
    goal=Goal("Does decay help?"),
    base=[str(ROOT / "configs/rnn.yaml")],
    budget=Budget(points=20),
    training=Training(steps=4_000, evaluate_every=400),
    scientific={"model.schedule": Scientific(values=["constant", "cosine"])},
    nuisance=RATE,
)
EXPLOIT = {
    "phase": "exploit",
    "scientific": {},
    "sampler": Sampler(kind="gp", learn_from=["clean"]),
}


def exploit(**sampler):
    return EXPLOIT | {"sampler": Sampler(learn_from=["clean"], **sampler)}


def of_optimizer(name, **parts):
    return Conditional(when={OPTIMIZER: name}, **parts)


def adam(points, *entries, **nuisance):
    """Tune Adam's settings: `entries` are those of the betas."""
    variables = {"x": Log(1e-3, 1e-1), "y": Log(1e-4, 1e-2)}
    return {
        "budget": Budget(points=points),
        "nuisance": RATE | variables | nuisance,
        "derived": {"model.optimizer.init_args.betas": [*entries]},
    }


BETAS = {"model.optimizer.init_args.betas": Categorical([[0.9, 0.999], [0.9, 0.99]])}
MANY = {f"data.augment.k{i}": Uniform(1, 2) for i in range(11)}
OPTIMIZERS = {OPTIMIZER: Scientific(values=[ADAM, SGD])}

# Rule, how bad, key, what breaks the clean round, what mends that.
CASES = [
    (
        ("F1 objective on the test split", "error", "objective.metric"),
        {"objective": Objective(metric="test/frame_accuracy")},
        {"objective": Objective(metric="val/frame_accuracy")},
    ),
    (
        ("F1 test split in a trial", "error", "run.test_after_fit"),
        {"overrides": {"run": {"test_after_fit": True}}},
        {"overrides": {"run.test_after_fit": False}},
    ),
    (
        ("D4 column to rank by", "error", "objective.metric"),
        {"objective": Objective(metric="val/acc")},
        {"objective": Objective(metric="val/macro_f1")},
    ),
    (
        ("D4 column to rank by", "warning", "objective.metric"),
        {"objective": Objective(metric="train/loss", mode="min")},
        {"objective": Objective(metric="val/loss", mode="min")},
    ),
    (
        ("B3 direction", "error", "objective.mode"),
        {"objective": Objective(metric="val/phone_error_rate", mode="max")},
        {"objective": Objective(metric="val/phone_error_rate", mode="min")},
    ),
    (
        ("B3 one question", "info", "goal.question"),
        {"goal": Goal("the learning rate")},
        {"goal": Goal("Which learning rate?")},
    ),
    (
        ("B1 lineage", "info", "goal.parent"),
        {"goal": Goal("Which?", parent="never_was")},
        {"goal": Goal("Which?", parent=None)},
    ),
    (
        ("A4 batch size", "error", "data.frames_per_batch"),
        {"nuisance": RATE | {"data.frames_per_batch": Int(4_000, 32_000, log=True)}},
        {"fixed": {"data.frames_per_batch": 4_000}, "caveats": ["one batch: frames per batch"]},
    ),
    (
        ("A4 batch size", "warning", "data.frames_per_batch"),
        {"scientific": {"data.frames_per_batch": Scientific(values=[4_000, 8_000])}},
        {},
    ),
    (
        ("F2 length as nuisance", "error", "trainer.max_steps"),
        {"nuisance": RATE | {"trainer.max_steps": Int(4_000, 9_000)}},
        {"training": Training(steps=9_000, evaluate_every=400)},
    ),
    (
        ("F4 length and learning rate", "warning", "trainer.max_steps"),
        {"scientific": {"trainer.max_steps": Scientific(values=[4_000, 8_000])}, "nuisance": {}},
        {"scientific": {"trainer.max_steps": Scientific(values=[4_000, 8_000])}},
    ),
    (
        ("C2 optimizer setting", "warning", "model.optimizer.init_args.eps"),
        {"scientific": {"model.optimizer.init_args.eps": Scientific(values=[1e-8, 1e-6])}},
        {},
    ),
    (
        ("C2 fixed learning rate", "warning", LR),
        {"nuisance": {}},
        {"nuisance": {"x": Log(1e-4, 1e-1)}, "derived": {LR: "x"}},
    ),
    (
        ("C2 regulariser strength", "info", DROPOUT),
        {"scientific": {DROPOUT: Scientific(values=[0.1, 0.2, 0.3])}},
        {"scientific": {DROPOUT: Scientific(values=[0, 0.2])}},
    ),
    (
        ("C2 choice as nuisance", "warning", OPTIMIZER),
        {"nuisance": RATE | {OPTIMIZER: Categorical([ADAM, SGD])}},
        {},
    ),
    (
        ("C1 caveat", "info", "fixed.model.ema_decay"),
        {"fixed": {"model.ema_decay": 0.999}},
        {"fixed": {"model.ema_decay": 0.999}, "caveats": ["EMA decay was not tuned"]},
    ),
    (
        ("C4 one arm", "warning", "scientific.model.schedule"),
        {"scientific": {"model.schedule": Scientific(values=["cosine"])}},
        {"scientific": {}},
    ),
    (
        ("C4 one arm", "warning", "scientific.model.ema_decay"),
        {"scientific": {"model.ema_decay": Scientific(range=Uniform(0.9, 0.99), buckets=1)}},
        {"scientific": {"model.ema_decay": Scientific(range=Uniform(0.9, 0.99), buckets=3)}},
    ),
    (
        ("C4 many values", "info", "scientific.model.backbone.init_args.hidden_size"),
        {
            "scientific": {
                "model.backbone.init_args.hidden_size": Scientific(values=[*range(100, 1_000, 100)])
            }
        },
        {
            "scientific": {
                "model.backbone.init_args.hidden_size": Scientific(range=Int(100, 900), buckets=3)
            }
        },
    ),
    (
        ("D5 unequal arms", "warning", "arm constant"),
        {
            "nuisance": {},
            "conditional": [Conditional(when={"model.schedule": "cosine"}, nuisance=RATE)],
        },
        {
            "nuisance": {},
            "conditional": [
                Conditional(when={"model.schedule": "cosine"}, nuisance=RATE),
                Conditional(when={"model.schedule": "constant"}, nuisance=RATE),
            ],
        },
    ),
    (
        ("C3 shared range", "warning", LR),
        {"scientific": OPTIMIZERS},
        {
            "scientific": OPTIMIZERS,
            "conditional": [of_optimizer(SGD, nuisance={LR: Log(1e-2, 10.0)})],
        },
    ),
    (
        ("C7 Adam tier", "warning", "budget.points"),
        adam(9, "1 - x", "0.999") | {"nuisance": RATE | {"x": Log(1e-3, 1e-1)}},
        adam(10, "1 - x", "0.999") | {"nuisance": RATE | {"x": Log(1e-3, 1e-1)}},
    ),
    (
        ("C7 Adam tier", "warning", "budget.points"),
        {"nuisance": RATE | {"model.optimizer.init_args.eps": Log(1e-10, 1e-6)}},
        {
            "nuisance": RATE | {"model.optimizer.init_args.eps": Log(1e-10, 1e-6)},
            "budget": Budget(points=25),
        },
    ),
    (
        ("C7 Adam tier", "error", "budget.points"),
        adam(19, "1 - x", "1 - y"),
        adam(40, "1-x", "1-y"),
    ),
    (
        ("C7 Adam tier", "error", "budget.points"),
        {"nuisance": RATE | BETAS, "budget": Budget(points=19)},
        {"nuisance": RATE | BETAS, "budget": Budget(points=40)},
    ),
    (
        ("C6 grid", "error", "sampler.kind"),
        {"nuisance": RATE | dict([*MANY.items()][:2]), "sampler": Sampler(kind="grid")},
        {"nuisance": RATE | dict([*MANY.items()][:1]), "sampler": Sampler(kind="grid")},
    ),
    (("C6 sampler and phase", "error", "sampler.kind"), {"sampler": Sampler(kind="tpe")}, {}),
    (
        ("C6 sampler and phase", "error", "sampler.kind"),
        {"sampler": Sampler(kind="gp"), "phase": "confirm"},
        {"phase": "confirm"},
    ),
    (("F1 exploit", "error", "sampler.kind"), exploit(kind="halton"), exploit(kind="tpe")),
    (("F1 exploit", "error", "seeds"), EXPLOIT | {"seeds": [1, 2]}, EXPLOIT | {"seeds": [1]}),
    (("F1 exploit", "error", "scientific"), EXPLOIT | {"scientific": CLEAN.scientific}, EXPLOIT),
    (
        ("F1 exploit", "error", "sampler.kind"),
        EXPLOIT | {"nuisance": MANY},
        exploit(kind="tpe") | {"nuisance": MANY},
    ),
    (
        ("F1 exploit", "error", "sampler.kind"),
        EXPLOIT
        | {
            "nuisance": RATE | {"model.schedule": Categorical(["constant", "cosine"])},
            "conditional": [
                Conditional(
                    when={"model.schedule": "cosine"}, nuisance={"model.ema_decay": Uniform(0.9, 1)}
                )
            ],
        },
        EXPLOIT,
    ),
    (
        ("F1 exploit", "info", "sampler.learn_from"),
        EXPLOIT | {"sampler": Sampler(kind="gp")},
        EXPLOIT,
    ),
    (("C3 scale", "warning", f"nuisance.{LR}"), {"nuisance": {LR: Uniform(1e-3, 1e-2)}}, {}),
    (
        ("C3 scale", "warning", "nuisance.model.backbone.init_args.hidden_size"),
        {"nuisance": RATE | {"model.backbone.init_args.hidden_size": Int(4, 512)}},
        {"nuisance": RATE | {"model.backbone.init_args.hidden_size": Int(4, 512, log=True)}},
    ),
    (
        ("D1 natural bound", "info", f"nuisance.{DROPOUT}.natural_bound"),
        {"nuisance": RATE | {DROPOUT: Uniform(0, 0.5)}},
        {"nuisance": RATE | {DROPOUT: Uniform(0, 0.5, natural_bound="low")}},
    ),
    (
        ("D1 natural bound", "info", f"nuisance.{LR}.natural_bound"),
        {"nuisance": {LR: Log(1e-4, 1e-1, hard=[None, 1e-1])}},
        {"nuisance": {LR: Log(1e-4, 1e-1, hard=[None, 1.0])}},
    ),
    (
        ("C5 coverage", "warning", "budget.points"),
        {"nuisance": RATE | dict([*MANY.items()][:2]), "budget": Budget(points=5)},
        {"nuisance": RATE | dict([*MANY.items()][:2]), "budget": Budget(points=6)},
    ),
    (
        ("C5 coverage", "warning", "budget.points"),
        {"nuisance": RATE | dict([*MANY.items()][:5]), "budget": Budget(points=19)},
        {"nuisance": RATE | dict([*MANY.items()][:5]), "budget": Budget(points=20)},
    ),
    (
        ("C5 narrow learning rate", "info", f"nuisance.{LR}"),
        {"nuisance": {LR: Log(1e-3, 2e-3)}},
        EXPLOIT | {"nuisance": {LR: Log(1e-3, 2e-3)}},
    ),
    (
        ("H3 best checkpoint", "error", "training.keep"),
        {"training": Training(steps=4_000, evaluate_every=400, keep=0)},
        {"training": Training(steps=4_000, evaluate_every=400, keep=1)},
    ),
    (
        ("H2 evaluation by steps", "error", "trainer.max_time"),
        {"overrides": {"trainer": {"max_time": "00:01:00:00"}}},
        {"overrides": {"trainer": {"max_time": None}}},
    ),
    (
        ("F2 one length", "error", "trainer.max_steps"),
        {"overrides": {"trainer.max_steps": 100}},
        {},
    ),
    (
        ("F2 enough validations", "warning", "training.evaluate_every"),
        {"training": Training(steps=4_000, evaluate_every=801)},
        {"training": Training(steps=4_000, evaluate_every=800)},
    ),
    (
        ("F2 enough validations", "error", "training.evaluate_every"),
        {"training": Training(steps=4_000, evaluate_every=4_001)},
        {},
    ),
    (
        ("G4 warmup", "warning", "model.warmup_steps"),
        {"training": Training(steps=3_000, evaluate_every=300)},
        {
            "training": Training(steps=3_000, evaluate_every=300),
            "overrides": {"model": {"warmup_steps": 150}},
        },
    ),
    (
        ("G4 warmup", "error", "model.warmup_steps"),
        {"nuisance": RATE | {"model.warmup_steps": Int(50, 401)}},
        {"nuisance": RATE | {"model.warmup_steps": Int(50, 200)}},
    ),
    (("E1 seeds", "info", "seeds"), {"seeds": [0, 1]}, {"seeds": [1]}),
    (
        ("D4 pruning", "error", "pruning.kind"),
        {"pruning": Pruning(kind="median")},
        exploit(kind="tpe") | {"pruning": Pruning(kind="median")},
    ),
    (
        ("D4 pruning", "warning", "pruning.kind"),
        EXPLOIT | {"pruning": Pruning(kind="hyperband")},
        EXPLOIT,
    ),
]


def test_nothing_is_said_against_a_round_without_fault():
    assert lint(CLEAN) == []


@pytest.mark.parametrize(("expected", "breaks", "mends"), CASES)
def test_each_rule_sees_its_breach_and_no_other(expected, breaks, mends):
    found = lint(replace(CLEAN, **breaks))
    assert [(one.rule, one.severity, one.key) for one in found] == [expected]
    assert lint(replace(CLEAN, **mends)) == []


def test_every_rule_has_a_breach():
    assert {rule for (rule, _, _), _, _ in CASES} == set(RULES)


def test_the_worst_comes_first():
    faults = {"objective": Objective(metric="speed"), "seeds": [0, 1]}
    found = lint(replace(CLEAN, training=Training(400, 401), **faults))
    assert [one.severity for one in found] == ["error", "error", "warning", "info"]


def test_what_is_tuned_by_way_of_a_variable_is_tuned():
    for key, rule in (("data.frames_per_batch", "A4 batch size"), ("trainer.max_steps", "F2 ")):
        changes = {"nuisance": RATE | {"x": Log(1, 9)}, "derived": {key: "round(100 * x)"}}
        assert [one.rule.startswith(rule) for one in lint(replace(CLEAN, **changes))] == [True]


def test_a_quick_round_is_kept_from_the_test_split_and_from_having_no_points():
    quick = replace(CLEAN, training=Training(60, 40), evidence=False)
    assert lint(quick) == []
    found = lint(replace(quick, objective=Objective(metric="test/loss", mode="min")))
    assert [one.rule for one in found] == ["F1 objective on the test split"]
    found = lint(replace(quick, sampler=Sampler(kind="gp")))
    assert [one.rule for one in found] == ["C6 sampler and phase"]


def test_a_config_that_names_no_optimizer_has_the_default_one(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    round = replace(CLEAN, base=[str(tmp_path / "empty.yaml")])
    assert lint(round) == []
    eps = {"model.optimizer.init_args.eps": Log(1e-10, 1e-6)}
    assert [one.rule for one in lint(replace(round, nuisance=RATE | eps))] == ["C7 Adam tier"]


def test_settings_of_adam_are_nothing_to_sgd():
    settings = adam(9, "1 - x", "1 - y")
    found = lint(replace(CLEAN, overrides={OPTIMIZER: SGD}, **settings))
    assert found == []


def test_a_missing_base_config_is_named():
    with pytest.raises(InputError, match=r"base is 'nowhere\.yaml'"):
        lint(replace(CLEAN, base=["nowhere.yaml"]))


@pytest.mark.parametrize("file", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda f: f.stem)
def test_shipped_rounds_break_no_rule(file, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert [str(one) for one in lint(read_round(file)) if one.severity != "info"] == []
