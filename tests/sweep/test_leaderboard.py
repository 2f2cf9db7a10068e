"""Leaderboards: what ranks, what does not, and what is said beside them."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from phoneme_lightning.sweep.leaderboard import (
    arm_rows,
    as_table,
    mixed,
    ranked,
    round_rows,
    short_names,
    title,
    trial_rows,
)
from phoneme_lightning.sweep.looks import Look, read_looks
from phoneme_lightning.sweep.records import Measured, TrialRecord, read_records
from phoneme_lightning.sweep.round import Budget, Goal, Objective, Round, Training
from phoneme_lightning.sweep.round_file import read_round

LR = "model.optimizer.init_args.lr"


def record(trial, best, final=0.0, last=0.0, *, state="completed", arm="all", **facts):
    """Give a record; its values do not matter."""
    point = int(trial[1:])
    return TrialRecord(
        trial, arm, point, 0, {}, state, measured=Measured(best, 10, final, last), **facts
    )


@pytest.mark.parametrize(
    ("selection", "order"), [("best", "p2 p0 p1"), ("final", "p1 p2 p0"), ("last", "p0 p1 p2")]
)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_selection_ranks_and_the_mode_turns_it_round(selection, order, mode):
    sign = 1 if mode == "max" else -1
    records = [
        record("p0", sign * 0.6, sign * 0.3, sign * 0.9),
        record("p1", sign * 0.5, sign * 0.5, sign * 0.8),
        record("p2", sign * 0.7, sign * 0.4, sign * 0.1),
    ]
    objective = Objective(mode=mode, selection=selection)
    assert [r.trial for r in ranked(records, objective)] == order.split()


def test_of_equals_the_earlier_leads_and_what_was_not_completed_has_no_rank():
    records = [
        record("p0", 0.4),
        record("p1", 0.9, state="infeasible", cause="nan"),
        record("p2", 0.5, stopped_early="asked"),
        record("p3", 0.5),
        record("p4", 0.95, state="interrupted", cause="timeout"),
        TrialRecord("p5", "all", 5, 0, {}, "failed", "ValueError"),
        TrialRecord("p6", "all", 6, 0, {}, "waiting"),
    ]
    rows = trial_rows(records, Objective(last=3))
    assert [(row["rank"], row["trial"], row["state"]) for row in rows] == [
        (1, "p2", "stopped early"),
        (2, "p3", "completed"),
        (3, "p0", "completed"),
        (None, "p1", "infeasible: nan"),
        (None, "p4", "interrupted: timeout"),
        (None, "p5", "failed: ValueError"),
    ]
    assert len({tuple(row) for row in rows}) == 1
    assert "last 3" in rows[0]


def test_each_arm_is_led_by_its_best_and_its_trials_are_counted():
    records = [
        record("p0", 0.4, arm="RNN"),
        record("p1", 0.6, arm="CNN"),
        record("p2", 0.5, arm="RNN"),
        record("p3", 0.9, arm="RNN", state="infeasible", cause="nan"),
        TrialRecord("p4", "LSTM", 4, 0, {}, "interrupted"),
        TrialRecord("p5", "LSTM", 5, 0, {}, "waiting"),
        TrialRecord("p6", "LSTM", 6, 0, {}, "failed"),
    ]
    assert [tuple(row.values()) for row in arm_rows(records, Objective())] == [
        ("CNN", 0.6, "p1", 1, 0, 0, 0),
        ("RNN", 0.5, "p2", 2, 1, 0, 0),
        ("LSTM", None, None, 0, 0, 1, 2),
    ]


@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join), max_size=8))
def test_short_names_are_the_ends_of_their_keys_and_no_two_are_equal(keys):
    names = short_names(keys)
    assert set(names) == keys
    assert all(f".{key}".endswith(f".{name}") for key, name in names.items())
    assert len(set(names.values())) == len(keys)


def test_the_shortest_name_is_taken_that_says_which():
    assert short_names([LR, "model.backbone.init_args.dropout", "x", "data.augment.dropout"]) == {
        LR: "lr",
        "model.backbone.init_args.dropout": "init_args.dropout",
        "x": "x",
        "data.augment.dropout": "augment.dropout",
    }


def environment(**changes):
    return {
        "versions": {"torch": "2.15.0"},
        "git": {"commit": "a" * 40, "dirty": False},
        "corpus": {"name": "spoken", "manifest_sha256": "b" * 64},
        "host": "one",
        "device": "a CPU",
        "precision": "32-true",
        "threads": 1,
    } | changes


def test_a_mixture_is_said_and_nothing_else():
    alike = [record("p0", 0.1, environment=environment()), record("p1", 0.1)]
    alike.append(record("p2", 0.1, environment=environment(threads=2)))
    assert mixed(alike) == []
    other = environment(
        versions={"torch": "2.14.0"},
        git={"commit": "c" * 40, "dirty": False},
        host="two",
        precision="bf16-mixed",
    )
    assert mixed([*alike, record("p3", 0.1, environment=other)]) == [
        "versions.torch: 2.14.0 (1 of 3 trials), 2.15.0 (2 of 3 trials)",
        "git.commit: aaaaaaaa (2 of 3 trials), cccccccc (1 of 3 trials)",
        "host: one (2 of 3 trials), two (1 of 3 trials)",
        "precision: 32-true (2 of 3 trials), bf16-mixed (1 of 3 trials)",
    ]


@pytest.mark.parametrize("evidence", [True, False])
def test_what_quick_made_is_stamped_on_every_table(plant, tmp_path, evidence):
    curve = {"state": "completed", "curve": [0.2, 0.7]}
    folder = plant(
        tmp_path / "lr",
        {"p0": {"values": {LR: 0.1}, **curve}, "p1": {"values": {LR: 0.2}}},
        evidence=evidence,
    )
    [row] = round_rows(tmp_path)
    assert ("NOT EVIDENCE" in row["round"]) is not evidence
    for what in ("", "the best of each arm"):
        assert ("NOT EVIDENCE" in title(read_round(folder.round), what)) is not evidence
    assert (row["done"], row["trials"], row["best trial"], row["value"]) == (1, 2, "p0", 0.7)


def test_rounds_show_the_look_at_their_best_trial_and_a_broken_one_hides_no_other(plant, tmp_path):
    for name in ("a", "c"):
        told = {"state": "completed", "curve": [0.2, 0.7], "values": {}}
        folder = plant(tmp_path / name, {"p0": told, "p1": {**told, "curve": [0.3]}})
    looks = [Look("p1", 0.61, "", ""), Look("p0", 0.66, "", "")]
    lines = [json.dumps(vars(look)) for look in looks]
    (folder.path / "looks.jsonl").write_text("\n".join([*lines, '{"trial": "p0", "pub']))
    assert read_looks(folder) == looks
    (tmp_path / "b").mkdir()
    (tmp_path / "b/round.yaml").write_text("goal: [")
    plant(tmp_path / ".d.being-looked-over", {})
    rows = round_rows(tmp_path)
    assert [(row["round"], row["public"]) for row in rows] == [
        ("a", None),
        ("b", None),
        ("c", 0.66),
    ]
    assert "cannot be read" in rows[1]["question"]
    assert len({tuple(row) for row in rows}) == 1


def test_a_table_holds_every_cell(plant, tmp_path):
    told = {"state": "completed", "curve": [0.25, 0.123456], "values": {LR: 0.000123456}}
    folder = plant(
        tmp_path / "lr", {"p0": told, "p1": {"values": {}, "state": "failed", "arm": "[cnn]"}}
    )
    objective = read_round(folder.round).objective
    rows = trial_rows(read_records(folder, objective, 3), objective)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(as_table(rows, "a title"))
    text = console.export_text()
    for words in ("a title", "p0", "p1", "0.2500", "0.1235", "0.0001235", "failed", "lr", "[cnn]"):
        assert words in text
    assert "None" not in text
    assert as_table([], "nothing").row_count == 0


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_leaves_columns_out_and_cuts_none(plant, tmp_path, width):
    told = {"state": "completed", "curve": [0.25, 0.1234], "values": {LR: 0.000123456}}
    folder = plant(tmp_path / "lr", {f"p00{n}-constant-s0": told for n in range(2)})
    objective = read_round(folder.round).objective
    rows = trial_rows(read_records(folder, objective, 3), objective)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(as_table(rows, "a title", width))
    text = console.export_text()
    assert "…" not in text
    for words in ("p001-constant-s0", "0.2500", "0.0001235", "no room for: best step"):
        assert words in text


def test_the_title_says_what_ranks():
    told = Round(Goal("?"), [], Budget(1), Training(1, 1), name="lr")
    assert title(told) == "lr: best val/frame_accuracy on validation"
    assert title(told, "the arms") == "lr: the arms"
