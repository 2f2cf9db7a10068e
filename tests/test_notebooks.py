"""The notebooks run, on the built-in corpus and a kept round, and show what they are about."""

import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from phoneme_lightning.corpora.spoken import prepare_spoken
from phoneme_lightning.sweep.cli import build_parser

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))

SMALL = {"02_fit": "steps = 8"}
"""What the tests write after a notebook's own parameters."""

PLOTLY = "application/vnd.plotly.v1+json"

SHOWS = {
    "01_corpus": {"image/png": 4, "audio": 2},
    "02_fit": {"image/png": 4},
    "03_review_a_round": {PLOTLY: 4},
}
"""Pictures and players that a notebook must come up with, at least."""

SAYS = {
    "01_corpus": ["largest difference from the store: 0\n"],  # what one hears is what trains
    "02_fit": ["step 8/8 ", "of all mistakes\n", "heard:"],
    "03_review_a_round": ["# Drafted from lr_round1", "luck of search: ", "ADOPT ", "HOLD "],
}

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Give a folder as the repository's root is, but with a minute of speech."""
    folder = tmp_path_factory.mktemp("workplace")
    prepare_spoken(folder / "data/spoken", minutes=1, workers=2)
    for name in ("configs", "sweeps"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "results/rounds/lr_round1", folder / "results/rounds/lr_round1")
    return folder


def run(path, folder):
    """Run a notebook as if it stood in the folder's root; give what its cells put out."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source += f"\n{SMALL.get(path.stem, '')}"
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


@each
def test_a_notebook_runs_and_shows_what_it_is_about(path, workplace, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")  # with Agg nothing would be shown
    outputs = run(path, workplace)
    said = [output for output in outputs if output.output_type == "stream"]
    assert not [output.text for output in said if output.name == "stderr"]
    text = "".join(output.text for output in said)
    assert [words for words in SAYS[path.stem] if words not in text] == []
    shown = Counter()
    for output in outputs:
        data = output.get("data", {})
        shown.update(set(data) & {"image/png", PLOTLY})
        shown["audio"] += "<audio" in data.get("text/html", "")
    assert shown >= Counter(SHOWS[path.stem])


@each
def test_a_notebook_keeps_no_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@each
def test_what_a_notebook_names_is_there(path):
    text = "\n".join(
        cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type != "code"
    )
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert not [link for link in links if not (path.parent / link).exists()]
    for command in re.findall(r"^\$ phoneme-sweep (.*)", text, re.M):
        build_parser().parse_args(shlex.split(command, comments=True))
