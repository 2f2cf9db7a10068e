"""phoneme-sweep: what only reads a round answers at once."""

import subprocess
import sys

import pytest

LR = "model.optimizer.init_args.lr"
PROGRAM = """
import sys
from phoneme_lightning.sweep.cli import main
try:
    main()
finally:
    heavy = {"lightning", "matplotlib", "scipy", "torch", "wandb"}
    print("loaded:", *sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "words",
    ["status lr", "leaderboard lr --json", "leaderboard", "export lr", "repro lr p0", "doctor lr"],
)
def test_what_only_reads_loads_nothing_heavy(plant, tmp_path, words):
    trial = {"state": "completed", "curve": [0.5], "values": {LR: 0.1}}
    plant(tmp_path / "runs/rounds/lr", {"p0": trial})
    command = [sys.executable, "-c", PROGRAM, *words.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:", done.stderr
