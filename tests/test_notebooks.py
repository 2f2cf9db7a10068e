"""The notebooks run, from top to bottom, on a small store and a small run; none keeps outputs."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
FIT = """
--config {root}/configs/rnn.yaml --data.corpus spoken --data.frames_per_batch 200
--model.backbone.init_args.hidden_size 4 --run.folder runs/first --trainer.accelerator cpu
--trainer.max_steps 10 --trainer.val_check_interval 5
"""


@pytest.fixture(scope="module")
def workplace(make_store, tmp_path_factory):
    """Give a folder with a store, and a run that the command line made from it."""
    folder = tmp_path_factory.mktemp("workplace")
    make_store(folder / "data/spoken")
    program = "from phoneme_lightning.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", program, "fit", *FIT.format(root=ROOT).split()],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"},
        check=True,
    )
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path, workplace):
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(workplace)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_keeps_no_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
