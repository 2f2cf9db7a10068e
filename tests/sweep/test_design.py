import csv
import multiprocessing
import random
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from phoneme_lightning.sweep.design import (
    Row,
    active_spaces,
    append_design,
    arms,
    design,
    read_design,
    write_design,
)
from phoneme_lightning.sweep.halton import grid, halton
from phoneme_lightning.sweep.round_file import parse_round

LR = "model.optimizer.init_args.lr"
DROPOUT = "model.backbone.init_args.dropout"
LOG = {"dist": "log", "low": 1e-5, "high": 1e-1}
UNIT = {"dist": "uniform", "low": 0.0, "high": 1.0}


def a_round(points=20, **changes):
    return parse_round(
        {
            "goal": {"question": "Which?"},
            "base": ["configs/rnn.yaml"],
            "budget": {"points": points},
            "training": {"steps": 100, "evaluate_every": 10},
            "nuisance": {LR: LOG},
            **changes,
        },
        "r",
    )


def column(rows, key):
    return [row.values[key] for row in rows]


def test_the_points_are_scipy_s_scrambled_halton_points():
    round = a_round(30, nuisance={LR: UNIT, DROPOUT: UNIT}, sampler={"seed": 7})
    drawn = np.array([[row.values[LR], row.values[DROPOUT]] for row in design(round)])
    assert np.array_equal(drawn, qmc.Halton(2, scramble=True, rng=7).random(30))
    other = a_round(30, nuisance={LR: UNIT, DROPOUT: UNIT}, sampler={"seed": 8})
    assert column(design(other), LR) != column(design(round), LR)


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 6), st.integers(0, 2**31))
def test_more_points_or_keys_leave_the_others_as_they_were(points, more, dimensions, seed):
    few = np.array(halton(points, dimensions, seed))
    many = np.array(halton(points + more, dimensions + 2, seed))
    assert np.array_equal(many[:points, :dimensions], few)
    assert ((many >= 0) & (many < 1)).all()


def test_a_longer_design_begins_with_the_shorter_and_a_key_added_last_moves_nothing():
    short, long = design(a_round(20)), design(a_round(30))
    assert long[:20] == short
    wider = design(a_round(20, nuisance={LR: LOG, DROPOUT: UNIT}))
    assert column(wider, LR) == column(short, LR)
    condition = [{"when": {"arm": "all"}, "nuisance": {DROPOUT: UNIT}}]
    assert column(design(a_round(20, conditional=condition)), LR) == column(short, LR)


@given(st.integers(0, 2**31))
def test_no_point_lies_outside_its_bounds(seed):
    rows = design(a_round(300, sampler={"seed": seed}))
    assert all(1e-5 <= value <= 1e-1 for value in column(rows, LR))


def test_every_arm_gets_every_point_and_its_own_range_where_it_has_one():
    round = a_round(
        12,
        scientific={"model.schedule": {"values": ["constant", "cosine", "linear"]}},
        nuisance={LR: LOG, DROPOUT: UNIT},
        conditional=[
            {
                "when": {"model.schedule": "linear"},
                "nuisance": {LR: {"dist": "log", "low": 1e-3, "high": 10}},
            }
        ],
        seeds=[3, 5],
    )
    rows = design(round)
    assert len(rows) == 12 * 3 * 2
    order = [(row.point, row.arm, row.seed) for row in rows]
    names = ["constant", "cosine", "linear"]
    assert order == [(p, name, s) for p in range(12) for name in names for s in (3, 5)]
    assert len({row.trial for row in rows}) == len(rows)
    for point in range(12):
        constant, cosine, linear = [row for row in rows if row.point == point and row.seed == 3]
        assert constant.values | {"model.schedule": "cosine"} == cosine.values
        assert linear.values[DROPOUT] == constant.values[DROPOUT]
        assert linear.values[LR] == pytest.approx(100 * constant.values[LR])
    spaces = active_spaces(round, arms(round)[2], linear.values)
    assert spaces[LR].high == 10


def test_a_condition_on_a_choice_is_met_point_by_point():
    round = a_round(
        40,
        nuisance={"model.schedule": {"dist": "categorical", "choices": ["constant", "cosine"]}},
        conditional=[
            {"when": {"model.schedule": ["cosine"]}, "nuisance": {"model.warmup_steps": {
                "dist": "int", "low": 1, "high": 9}}}
        ],
    )  # fmt: skip
    rows = design(round)
    with_it = [row for row in rows if "model.warmup_steps" in row.values]
    assert {row.values["model.schedule"] for row in with_it} == {"cosine"}
    assert len(with_it) == 20


@pytest.mark.parametrize("wanted", [[1, 1], [[1, 1]], "[1, 1]", [[1, 1], [3, 3]]], ids=str)
@pytest.mark.parametrize("role", ["scientific", "nuisance"])
def test_a_condition_may_ask_for_a_list(role, wanted):
    key, choices = "model.backbone.init_args.blocks", [[1, 1], [2, 2], [3, 3]]
    if role == "nuisance" and isinstance(wanted, str):
        wanted = [[1, 1]]
    conditional = {"when": {key: wanted}, "nuisance": {"model.warmup_steps": {
        "dist": "int", "low": 1, "high": 9}}}  # fmt: skip
    space = {"values": choices} if role == "scientific" else {"dist": "categorical"}
    space |= {} if role == "scientific" else {"choices": choices}
    round = a_round(12, **{role: {key: space}}, conditional=[conditional])
    found = {str(row.values[key]) for row in design(round) if "model.warmup_steps" in row.values}
    assert found == {"[1, 1]", "[3, 3]"} if wanted == [[1, 1], [3, 3]] else {"[1, 1]"}


def test_buckets_share_a_range_equally():
    round = a_round(25, scientific={"data.augment.noise": {"range": LOG, "buckets": 4}})
    rows = design(round)
    assert [arm.name for arm in arms(round)] == [
        "noise 1e-05..0.0001",
        "noise 0.0001..0.001",
        "noise 0.001..0.01",
        "noise 0.01..0.1",
    ]
    for part, arm in enumerate(arms(round)):
        drawn = [row.values["data.augment.noise"] for row in rows if row.arm == arm.name]
        assert len(drawn) == 25
        assert all(10.0 ** (part - 5) <= value <= 10.0 ** (part - 4) * 1.0001 for value in drawn)


def test_arms_are_the_product_and_have_names():
    round = a_round(
        scientific={
            "model.backbone": {
                "values": [
                    {"class_path": "phoneme_lightning.models.RNN"},
                    {"class_path": "phoneme_lightning.models.RNN", "init_args": {"cell": "gru"}},
                    {"class_path": "phoneme_lightning.models.CNN"},
                ]
            },
            "masks": {"values": {"off": {"data.augment.time_masks": 0}, "on": {}}},
            DROPOUT: {"values": [0.1, None]},
        }
    )
    found = arms(round)
    assert [arm.name for arm in found][:4] == [
        "RNN+off+0.1",
        "RNN+off+null",
        "RNN+on+0.1",
        "RNN+on+null",
    ]
    assert found[4].name == "RNN 2+off+0.1"
    assert found[4].values == {"model.backbone": "RNN 2", "masks": "off", DROPOUT: 0.1}
    assert found[4].settings["data.augment.time_masks"] == 0
    assert found[4].settings["model.backbone"]["init_args"] == {"cell": "gru"}
    assert len(found) == 3 * 2 * 2


def test_trial_names_are_fit_for_any_file_system_and_unique():
    values = ["a/b", "a b", "A-B", "..", "x" * 300, "x" * 299, "Länge", "con:"]
    round = a_round(1, scientific={"model.schedule": {"values": values}})
    names = [row.trial for row in design(round)]
    allowed = set(string.ascii_letters + string.digits + ".+=_-")
    assert all(set(name) <= allowed and len(name) < 100 for name in names)
    assert len({name.lower() for name in names}) == len(values)
    assert design(a_round(1001))[-1].trial == "p1000-all-s0"


@pytest.mark.parametrize(
    ("points", "levels"), [(12, (4, 3)), (15, (5, 3)), (1, (1, 1)), (10, (3, 3)), (7, (3, 2))]
)
def test_a_grid_of_two_is_nearly_square_and_not_too_large(points, levels):
    corners = np.array(grid(points, [np.inf, np.inf], [False, False]))
    assert corners.shape == (levels[0] * levels[1], 2)
    assert tuple(len(set(axis)) for axis in corners.T) == levels
    assert len({tuple(corner) for corner in corners}) == len(corners)
    if min(levels) > 1:
        assert corners.min() == 0
        assert corners.max() == 1


def test_a_grid_takes_all_choices_and_no_whole_number_twice():
    choices = {"dist": "categorical", "choices": ["constant", "cosine", "linear"]}
    whole = {"dist": "int", "low": 1, "high": 3}
    nuisance = {"model.schedule": choices, "model.warmup_steps": whole}
    rows = design(a_round(50, nuisance=nuisance, sampler={"kind": "grid"}))
    pairs = [tuple(row.values.values()) for row in rows]
    assert sorted(pairs) == [(s, w) for s in choices["choices"] for w in (1, 2, 3)]


def test_no_point_of_a_grid_is_there_twice():
    nuisance = {"model.warmup_steps": {"dist": "int", "low": 1, "high": 8, "log": True}}
    for points in range(1, 12):
        rows = design(a_round(points, nuisance=nuisance, sampler={"kind": "grid"}))
        steps = [row.values["model.warmup_steps"] for row in rows]
        assert sorted(set(steps)) == steps


def test_a_list_is_taken_as_it_is():
    points = [{LR: 1e-3}, {LR: 1e-2}, {LR: 1e-1}]
    sampler = {"kind": "list", "points": points}
    assert [row.values for row in design(a_round(3, sampler=sampler))] == points
    assert [row.values for row in design(a_round(2, sampler=sampler))] == points[:2]


def test_what_is_proposed_one_by_one_has_no_design():
    assert design(a_round(phase="exploit", sampler={"kind": "tpe"})) == []


PRINTED = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.dictionaries(PRINTED, SCALARS | st.lists(SCALARS), max_size=4)
ROWS = st.lists(
    st.builds(
        Row,
        trial=st.from_regex(r"p\d{3}-[a-z]{1,9}-s0", fullmatch=True),
        arm=PRINTED,
        point=st.integers(0, 10**6),
        seed=st.integers(0, 2**31),
        values=VALUES,
    ),
    max_size=6,
)


@given(before=ROWS, after=ROWS)
def test_a_design_comes_back_as_it_was_written(tmp_path_factory, before, after):
    path = tmp_path_factory.mktemp("design") / "design.csv"
    write_design(path, before)
    assert read_design(path) == before
    append_design(path, after)
    assert read_design(path) == before + after


def test_a_line_that_a_crash_cut_short_is_not_there(tmp_path):
    path = tmp_path / "design.csv"
    rows = design(a_round(4))
    write_design(path, rows)
    whole = path.read_bytes()
    for end in range(whole.rfind(b"\n", 0, -1) + 1, len(whole)):
        path.write_bytes(whole[:end])
        assert read_design(path) == rows[:3]
        append_design(path, rows[3:])
        assert path.read_bytes() == whole


def test_cells_are_json_and_inactive_ones_are_empty(tmp_path):
    path = tmp_path / "design.csv"
    write_design(path, [Row("a", "x", 0, 0, {"k": "s", "n": None}), Row("b", "x", 1, 0, {})])
    assert list(csv.reader(path.open())) == [
        ["trial", "arm", "point", "seed", "k", "n"],
        ["a", "x", "0", "0", '"s"', "null"],
        ["b", "x", "1", "0", "", ""],
    ]


def _append(path, who):
    for number in range(40):
        key = f"key{random.randrange(3)}"  # now and then a column that is not there yet
        append_design(path, [Row(f"{who}-{number}", "all", number, who, {key: number})])


def test_processes_that_append_at_once_lose_nothing(tmp_path):
    path = tmp_path / "design.csv"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_append, args=(path, who)) for who in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    rows = read_design(path)
    expected = [f"{who}-{number}" for who in range(4) for number in range(40)]
    assert sorted(row.trial for row in rows) == sorted(expected)
    assert all(list(row.values.values()) == [row.point] for row in rows)
