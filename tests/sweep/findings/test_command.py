"""The command that judges a round, on a real one that is kept."""

import json
from pathlib import Path

from phoneme_lightning.sweep.commands import diagnose

RESULTS = Path(__file__).parents[3] / "results/rounds"


def test_a_kept_round_is_judged(capsys):
    assert diagnose("lr_round1", RESULTS, as_json=True) == 0
    found = {(one["rule"], one["arm"]): one for one in json.loads(capsys.readouterr().out)}
    assert found["length", None]["verdict"] == "warn"
    assert found["boundary", None]["verdict"] == "ok"
    assert found["infeasible", "constant"]["verdict"] == "info"
    assert diagnose("lr_round1", RESULTS, as_json=False) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("warn: ")
    assert said[1] == "    set training.steps to 1200 in a new round"
