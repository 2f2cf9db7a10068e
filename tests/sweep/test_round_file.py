import copy
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.design import arms, design
from phoneme_lightning.sweep.overrides import flatten, overrides
from phoneme_lightning.sweep.round_file import dump_round, make_quick, parse_round, read_round
from phoneme_lightning.sweep.spaces import Categorical, Int, Log
from phoneme_lightning.sweep.yaml12 import dump_yaml, load_yaml

ROUND = """
goal: {question: "Does a decay help?", kind: try a change}
base: [configs/rnn.yaml]
overrides: {model.label_smoothing: 0, data.augment: {noise: 1e-3}}
budget: {points: 2e1, parallel: 2.0, trial_time: 90s, total_time: 1h30m}
training: {steps: 1e3, evaluate_every: 100}
scientific:
  model.schedule: {values: [constant, cosine]}
nuisance:
  model.optimizer.init_args.lr: {dist: log, low: 1e-4, high: 1e-1, hard: [0, 1], natural_bound: low}
  one_minus_beta1: {dist: log, low: 1e-2, high: 0.5}
derived:
  model.optimizer.init_args.betas: [1 - one_minus_beta1, 0.999]
conditional:
  - when: {model.schedule: cosine}
    nuisance:
      model.warmup_steps: {dist: int, low: 10, high: 1e2, log: true}
      data.deltas: {dist: categorical, choices: [none, temporal]}
fixed: {model.ema_decay: 0}
constraints: [parameters <= 10e6]
seeds: [0, 1.0]
divergence: {chance_after: 5e2}
quick: {points: 2, steps: 50, evaluate_every: 25, overrides: {data.augment.noise: 0}}
"""
LR = "model.optimizer.init_args.lr"
LOG = {"dist": "log", "low": 1e-4, "high": 1e-1}


def changed(**changes):
    return parse_round({**load_yaml(ROUND, "round"), **changes}, "r")


def test_what_is_written_is_read(tmp_path):
    file = tmp_path / "lr_round.yaml"
    file.write_text(ROUND)
    round = read_round(file)
    assert round.name == "lr_round"
    assert (round.training.steps, type(round.training.steps)) == (1000, int)
    assert round.budget.points == 20
    assert type(round.budget.parallel) is int
    assert round.seeds == [0, 1]
    assert (round.budget.trial_time, round.budget.total_time) == (90, 5400)
    assert round.nuisance[LR] == Log(1e-4, 1e-1, [0, 1], "low")
    assert round.conditional[0].nuisance["model.warmup_steps"] == Int(10, 100, log=True)
    assert type(round.conditional[0].nuisance["model.warmup_steps"].high) is int
    assert round.conditional[0].nuisance["data.deltas"] == Categorical(["none", "temporal"])
    assert round.divergence.chance_after == 500
    assert round.objective.metric == "val/frame_accuracy"


def test_a_round_comes_back_from_its_dump_with_every_default():
    round = changed(overrides={"a.b": "1e-4", "a.c": "no", "a.d": "1:30", "a.e": None, "a.f": ""})
    text = dump_round(round)
    assert parse_round(load_yaml(text, "dump"), "another name") == round
    assert dump_round(parse_round(load_yaml(text, "dump"), "")) == text
    assert "beat: 30s" in text
    assert "lost_gradients: 20" in text


@pytest.mark.parametrize("file", sorted(Path("sweeps").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_shipped_rounds_come_back_whole_and_quick(file):
    for round in (read_round(file), make_quick(read_round(file))):
        assert parse_round(load_yaml(dump_round(round), "dump"), "") == round


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1e3", 1000),
        ("1.0e3", 1e3),
        ("1e300", 1e300),
        ("-.5", -0.5),
        ("12", 12),
        ("010", 10),
        ("0x1f", 31),
        (".inf", float("inf")),
        ("-.INF", -float("inf")),
        ("true", True),
        ("~", None),
        ("", None),
        *((word, word) for word in ("no", "on", "Yes", "off", "1:30", "1_000", "2026-11-22", "1e")),
        *((word, word) for word in ("90s", "1.2.3", "nan", "0b1", "=", "'true'")),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = load_yaml(f"key: {text}", "x")["key"]
    assert read == (value.strip("'") if isinstance(value, str) else value)
    assert type(read) is type(value)


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"])) | st.sampled_from(
    ["no", "on", "1e-4", "1:30", "1_0", "0o7", ".5", "~", "null", "2026-11-22", "<<", "=", "0x1"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
TREES = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXTS, one, max_size=3)
)


@given(TREES)
def test_both_versions_of_yaml_read_what_is_dumped(tree):
    text = dump_yaml({"tree": tree})
    assert load_yaml(text, "x") == {"tree": tree}
    assert yaml.safe_load(text) == {"tree": tree}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml line 3 .* a is there twice"),
        ("a: [1", "x.yaml line 1 "),
        ("a: !!python/object:os.system {}", "x.yaml line 1 "),
        ("a: 1\n? [1]\n: 2", "x.yaml line 2 "),
        ("a: 1\nb: &b {c: *b}", "x.yaml is not YAML: found unconstructable|x.yaml line 2 "),
        ("a: " + "[" * 2000, "x.yaml is not YAML: "),
        ("a: " + "1" * 5000, "x.yaml is not YAML: "),
        ("a: \0", "x.yaml is not YAML: "),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text, said):
    with pytest.raises(InputError, match=said) as raised:
        load_yaml(text, "x.yaml")
    assert "\n" not in str(raised.value)


def test_what_is_said_once_may_be_named_again():
    assert load_yaml("a: &a {c: [1]}\nb: *a", "x") == {"a": {"c": [1]}, "b": {"c": [1]}}


def space(**changes):
    return {"nuisance": {LR: {**LOG, **changes}}, "derived": {}}


BAD = [
    # names and types
    ({"bugdet": {"points": 1}}, "bugdet is no key here: did you mean budget?"),
    ({"training": {"steps": 9, "evaluate_evry": 1}}, "training.evaluate_evry .*evaluate_every?"),
    ({"name": "a/b"}, "name is 'a/b': give letters"),
    ({"name": None}, "name is null: give a text"),
    ({"goal": {}}, "goal.question is missing: give a text"),
    ({"goal": {"question": "q", "kind": "win"}}, "goal.kind is 'win': give try a change or "),
    ({"budget": 3}, "budget is 3: give a mapping"),
    ({"budget": {"points": "many"}}, "budget.points is 'many': give a whole number"),
    ({"budget": {"points": 1.5}}, "budget.points is 1.5: give a whole number"),
    ({"budget": {"points": True}}, "budget.points is True: give a whole number"),
    ({"budget": {"points": 0}}, "budget.points is 0: give at least 1"),
    ({"budget": {"points": 1, "parallel": 0}}, "budget.parallel is 0: give at least 1"),
    ({"budget": {"points": 1, "trial_time": 90}}, "budget.trial_time is 90: .* such as 90s"),
    ({"budget": {"points": 1, "trial_time": "2 weeks"}}, "trial_time is '2 weeks': give a time"),
    ({"budget": {"points": 1, "trial_time": "0s"}}, "trial_time is 0s: give more than nothing"),
    ({"training": {"steps": 9, "evaluate_every": 10}}, "evaluate_every is 10: give at most .* 9"),
    ({"scientific": {"trainer.max_steps": {"values": [9, 900]}}}, "evaluate_every is .* shortest"),
    ({"seeds": [1, 1]}, "seeds is .1, 1.: give different"),
    (
        {"seeds": [2**32]},
        "seeds is .4294967296.: give different whole numbers from 0 to 4294967295",
    ),
    ({"base": []}, "base is ..: give a config"),
    ({"storage": {"beat": "1h"}}, "storage.grace is 5m: give more than storage.beat"),
    ({"executor": {"options": ["mem=16G"]}}, "executor.options has 'mem=16G': write each as"),
    ({"executor": {"options": ["--mem 16G"]}}, "executor.options has '--mem 16G': write each as"),
    ({"executor": {"options": ["--array=1-9"]}}, "executor.options has .*: give it as executor.a"),
    ({"executor": {"time": "3m"}}, "executor.time is 3m: give more than 3m, since SLURM tells"),
    ({"conditional": {}}, "conditional is {}: give a list"),
    ({"conditional": [{"wen": {}}]}, r"conditional\[0\].wen is no key here: did you mean when"),
    # spaces
    (space(dist="lgo"), f"nuisance.{LR}.dist is 'lgo': give log, uniform, int, categorical"),
    ({"nuisance": {LR: {"low": 1}}}, f"nuisance.{LR}.dist is missing: give log, "),
    (space(low=0), f"nuisance.{LR}.low is 0.0: give a number above 0"),
    (space(low="x"), f"nuisance.{LR}.low is 'x': give a number"),
    (space(low=1), f"nuisance.{LR}.high is 0.1: give a number above low, which is 1"),
    (space(hard=[1e-3, 1]), f"nuisance.{LR}.hard is .*must enclose"),
    (space(lwo=1), f"nuisance.{LR}.lwo is no key here: did you mean low?"),
    (space(natural_bound="left"), f"nuisance.{LR}.natural_bound is 'left': give low or high"),
    ({"nuisance": {"a.b": {"dist": "int", "low": 0.5, "high": 2}}}, "nuisance.a.b.low is 0.5"),
    (
        {"nuisance": {"a.b": {"dist": "int", "low": 1, "high": 10**400}}},
        "nuisance.a.b.high is beyo",
    ),
    (
        {"nuisance": {"a.b": {"dist": "log", "low": 1, "high": 10**400}}},
        "nuisance.a.b has a number of",
    ),
    (
        {"nuisance": {"a.b": {"dist": "uniform", "low": -1e308, "high": 1e308}}},
        "a.b.high is 1e.308",
    ),
    # roles
    ({"scientific": {LR: {"values": [1]}}}, f"{LR} is scientific and nuisance: give it one role"),
    ({"fixed": {"model": {"optimizer": {"init_args": {"lr": 1}}}}}, f"{LR} is nuisance and fixed"),
    ({"scientific": {"a.b": {}}}, "scientific.a.b has neither or both of values and range"),
    ({"scientific": {"a.b": {"values": 3}}}, "scientific.a.b.values is 3: give a list"),
    ({"scientific": {"a.b": {"values": []}}}, r"scientific.a.b.values is \[\]: give a list"),
    ({"scientific": {"a.b": {"values": [1, 1]}}}, "scientific.a.b.values has 1 twice"),
    ({"scientific": {"ab": {"values": [1, 2]}}}, "scientific.ab has no dot"),
    ({"scientific": {"a.b": {"range": LOG, "buckets": 1}}}, "scientific.a.b.buckets is 1"),
    (
        {"scientific": {"a.b": {"range": {"dist": "int", "low": 1, "high": 3}}}},
        "scientific.a.b.buckets is 4, and its range has 3 numbers",
    ),
    (
        {"scientific": {"model.optimizer": {"values": {"A": {"init_args": {"lr": 1}}}}}},
        f"{LR} is nuisance, and arm A sets it: give it one role",
    ),
    (
        {"scientific": {"a": {"values": {"A": {"b.c": 1}}}}, "fixed": {"b.c": 2}},
        "b.c is fixed, and arm A sets it: give it one role",
    ),
    ({"fixed": {"seed_everything": 1}}, "seed_everything is fixed: leave it out, and give seeds"),
    ({"overrides": {"run": {"keep_best": 3}}}, "run.keep_best is overrides: .* training.keep"),
    ({"scientific": {"a.b": {"range": {**LOG, "low": -1}}}}, "scientific.a.b.range.low is -1"),
    # conditions
    (
        {"conditional": [{"when": {"model.shedule": "cosine"}}]},
        r"conditional\[0\].when.model.shedule is neither .* did you mean model.schedule?",
    ),
    (
        {"conditional": [{"when": {"model.schedule": "cosin"}}]},
        "when.model.schedule is 'cosin', which it never is: did you mean cosine?",
    ),
    ({"conditional": [{"when": {"arm": ["cosine", "x"]}}]}, "when.arm is 'x'"),
    ({"conditional": [{"when": {}}]}, r"conditional\[0\].when is empty"),
    (
        {"conditional": [{"when": {"model.schedule": []}}]},
        r"model.schedule is \[\], which it never",
    ),
    # derived keys
    ({"derived": {}}, "nuisance.one_minus_beta1 has no dot, so it is a variable, and no derived"),
    ({"derived": {"a.b": "1 - one_minus_bta1"}}, "derived.a.b .*sets no one_minus_bta1: did you"),
    ({"derived": {"a.b": "import os"}}, "derived.a.b: 'import os' is no arithmetic"),
    ({"derived": {"a.b": ["f(x)"]}}, r"derived.a.b: 'f\(x\)' is no arithmetic"),
    ({"derived": {"ab": "1"}}, "derived.ab has no dot"),
    ({"constraints": ["parameters"]}, r"constraints\[0\]: 'parameters' is no comparison"),
    # points
    ({"sampler": {"points": [{LR: 1}]}}, "sampler.kind is halton: sampler.points are given with"),
    ({"nuisance": {}, "derived": {}, "conditional": []}, "budget.points is 20, but nothing is dr"),
]


@pytest.mark.parametrize(
    ("changes", "said"), BAD, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_mistake_is_one_line_that_names_the_key(changes, said):
    with pytest.raises(InputError, match=f"^.*{said}") as raised:
        changed(**changes)
    assert "\n" not in str(raised.value)


def test_an_arm_may_set_what_holds_for_another():
    arms_of = {"A": {"a.b": 1}, "B": {}}
    only_b = [{"when": {"which": "B"}, "fixed": {"a.b": 2}}]
    assert changed(scientific={"which": {"values": arms_of}}, conditional=only_b)


def test_a_key_may_be_tuned_in_one_arm_and_fixed_in_another():
    tuned = {"when": {"model.schedule": "cosine"}, "nuisance": {"a.b": LOG}}
    fixed = {"when": {"model.schedule": "constant"}, "fixed": {"a.b": 2}}
    round = changed(conditional=[tuned, fixed])
    flat = {row.arm: flatten(overrides(round, row)) for row in design(round)}
    assert flat["constant"]["a.b"] == 2
    assert 1e-4 <= flat["cosine"]["a.b"] <= 1e-1
    with pytest.raises(InputError, match=r"a\.b is nuisance and fixed: give it one role"):
        changed(conditional=[tuned, {**fixed, "when": tuned["when"]}])


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([{LR: 1e-3}], "budget.points is 2, but sampler.points has 1: give at most 1"),
        ([{LR: 1e-3}, {}], r"sampler.points\[1\].model.optimizer.init_args.lr is missing: arm all"),
        ([{LR: 1e-3}, {LR: 1}], r"sampler.points\[1\].* is 1, outside its space"),
        ([{LR: 1e-3}, {LR: 1e-3, "a.b": 1}], r"sampler.points\[1\].a.b is no nuisance"),
    ],
)
def test_a_list_of_points_fits_its_spaces(points, said):
    with pytest.raises(InputError, match=said):
        changed(
            budget={"points": 2},
            scientific={},
            conditional=[],
            derived={},
            nuisance={LR: LOG},
            sampler={"kind": "list", "points": points},
        )


def _places(tree, path=()):
    yield path
    for key, one in tree.items() if isinstance(tree, dict) else ():
        yield from _places(one, (*path, key))


WHOLE = load_yaml(ROUND, "round")
KEYS = [
    {"model.schedule": "cosine"},
    {LR: LOG},
    {"dist": "int", "low": 1, "high": 3},
    [LR],
    "1 - x",
]


@settings(max_examples=100)
@given(st.sampled_from(list(_places(WHOLE))), TREES | st.sampled_from(KEYS))
def test_whatever_stands_anywhere_is_a_round_or_one_line(path, value):
    data = copy.deepcopy(WHOLE)
    place = {"": data}
    for key in ("", *path)[:-1]:
        place = place[key]
    place[("", *path)[-1]] = value
    if not path:
        data = value
    said = ""
    try:
        round = parse_round(data, "r")
        assert parse_round(load_yaml(dump_round(round), "dump"), "") == round
        quick = make_quick(round)
        assert design(quick)
        assert parse_round(load_yaml(dump_round(quick), "dump"), "") == quick
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no round file can be read at .*nosuch\.yaml"):
        read_round(tmp_path / "nosuch.yaml")


def test_quick_cuts_points_steps_and_the_net():
    round = changed()
    quick = make_quick(round)
    assert (quick.name, quick.evidence, quick.seeds) == ("r-quick", False, [0])
    assert (quick.budget.points, quick.training.steps, quick.training.evaluate_every) == (2, 50, 25)
    assert quick.divergence.chance_after is None
    assert make_quick(changed(divergence={"chance_after": 50})).divergence.chance_after == 50
    expected = {"model.label_smoothing": 0, "data.augment.noise": 0}
    assert flatten(quick.overrides) == expected
    assert replace(quick.budget, points=20) == round.budget
    assert (round.evidence, round.training.steps) == (True, 1000)
    assert len(design(quick)) == 2 * len(arms(round))


@pytest.mark.parametrize(
    "scientific",
    [
        {"trainer.max_steps": {"values": [200, 400, 1000]}},
        {"trainer.max_steps": {"values": {"a": 200, "b": 400, "c": 1000}}},
        {"length": {"values": {x: {"trainer.max_steps": x * 100} for x in (2, 4, 10)}}},
    ],
    ids=["list", "named", "group"],
)
def test_quick_keeps_the_proportions_of_the_lengths(scientific):
    scientific = yaml.safe_load(yaml.safe_dump(scientific))
    if "length" in scientific:
        values = scientific["length"]["values"]
        scientific["length"]["values"] = {f"x{name}": one for name, one in values.items()}
    quick = make_quick(changed(scientific=scientific, conditional=[]))
    steps = [overrides(quick, row)["trainer"]["max_steps"] for row in design(quick)]
    assert sorted(set(steps)) == [10, 20, 50]
    assert quick.training.evaluate_every == 10  # so that the shortest is validated too


def test_quick_says_where_it_makes_two_lengths_one():
    lengths = {"trainer.max_steps": {"values": [300, 301, 1000]}}
    with pytest.raises(InputError, match=r"scientific\.trainer\.max_steps\.values has 15 twice"):
        make_quick(changed(scientific=lengths, conditional=[]))


def test_quick_moves_a_condition_on_a_length_with_it():
    decay = {"model.optimizer.init_args.weight_decay": LOG}
    round = changed(
        scientific={"trainer.max_steps": {"values": [200, 1000]}},
        conditional=[{"when": {"trainer.max_steps": [200]}, "nuisance": decay}],
    )
    short, long = design(make_quick(round))[:2]
    assert short.values.keys() - long.values.keys() == decay.keys()
