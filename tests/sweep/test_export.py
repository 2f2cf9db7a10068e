"""The CSV of a round: read back as a table, with commands that a shell takes apart."""

import csv
import io
import shlex

from phoneme_lightning.sweep.export import export_csv

LR = "model.optimizer.init_args.lr"
GIT = {"git": {"commit": "a" * 40, "dirty": True}}


def test_every_trial_is_a_line_the_best_first(plant, tmp_path):
    folder = plant(
        tmp_path / "rounds" / "lr",
        {
            "p0": {"state": "completed", "curve": [0.2, 0.5, 0.4], "values": {LR: 1e-4}},
            "p1": {"state": "infeasible", "cause": "nan", "values": {LR: 0.5, "data.x": "a, b"}},
            "p2": {
                "state": "completed",
                "curve": [0.3, 0.6],
                "values": {LR: 1e-3},
                "environment": GIT,
            },
            "p3": {"values": {LR: 1e-2}},
        },
    )
    rows = list(csv.DictReader(io.StringIO(export_csv(folder))))
    assert [(row["rank"], row["trial"], row["state"], row["cause"]) for row in rows] == [
        ("1", "p2", "completed", ""),
        ("2", "p0", "completed", ""),
        ("", "p1", "infeasible", "nan"),
        ("", "p3", "waiting", ""),
    ]
    best, second, infeasible, waiting = rows
    assert {row["study"] for row in rows} == {"lr"}
    assert {row["question"] for row in rows} == {"Which learning rate?"}
    assert {row["trials"] for row in rows} == {"4"}
    assert float(best[LR]) == 1e-3
    assert infeasible["data.x"] == "a, b"
    assert (second["best"], second["best step"], second["final"]) == ("0.5", "20", "0.4")
    assert abs(float(second["last 5"]) - 1.1 / 3) < 1e-12
    assert (best["commit"], best["parameters"], best["steps"]) == ("a" * 40, "99", "30")
    attempt = folder.attempt("p2", 1)
    assert best["config"] == str(attempt / "config.yaml")
    assert best["uncommitted changes"] == str(attempt / "git.diff")
    assert second["uncommitted changes"] == waiting["command"] == waiting["config"] == ""
    words = shlex.split(best["command"])
    assert words[:2] == ["phoneme-cli", "fit"]
    assert [words[n + 1] for n, word in enumerate(words) if word == "--config"] == [
        str(folder.configs / "0-tiny.yaml"),
        str(attempt / "overrides.yaml"),
    ]


def test_a_round_without_trials_is_an_empty_table(plant, tmp_path):
    assert export_csv(plant(tmp_path / "rounds" / "lr", {})).strip() == ""
