"""The rules of the house, held by reading the imports of every file of the package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "phoneme_lightning"

# A room imports only from rooms before it. Nothing comes after sweep, so nothing imports it.
ORDER = [
    *("errors", "runtime", "phones", "batch", "corpora", "data", "models", "training", "inference"),
    *("parser", "cli", "entry", "data_cli", "sweep"),
]

STRANGERS = {("models", "data")}  # Batch is all that these two share

# Where a library may be imported: a folder or a file of the package.
CONFINED = {
    "optuna": ("sweep/",),
    "plotly": ("sweep/report/",),
    "wandb": ("training/wandb_logger.py", "sweep/report/"),
    "pytorch_lightning": (),
    "torchaudio": (),
}

MOST_LINES = {"": 350, "models/": 200}


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Give the line and the full name of every import, inside functions as well."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}"


def violations(file: str, source: str) -> Iterator[str]:
    """Give the rules that a file of the package breaks.

    Args:
        file: its path inside the package.
        source: its text.
    """
    room = file.split("/")[0].removesuffix(".py")
    for line, name in imports(source):
        top, *rest = name.split(".")
        if top == "":
            yield f"{file}:{line}: {name} is a relative import"
        if top == "phoneme_lightning" and rest and rest[0] in ORDER and rest[0] != room:
            late = room not in ORDER or ORDER.index(rest[0]) > ORDER.index(room)
            if late or (room, rest[0]) in STRANGERS:
                yield f"{file}:{line}: {room} must not import {rest[0]}"
        if not file.startswith(CONFINED.get(top, (file,))):
            yield f"{file}:{line}: {top} must not be imported here"
    length = len(source.splitlines())
    most = min(lines for folder, lines in MOST_LINES.items() if file.startswith(folder))
    if length > most:
        yield f"{file}: {length} lines, at most {most}"


def test_the_package_keeps_the_rules():
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    found = [
        violation
        for file in files
        for violation in violations(file.relative_to(PACKAGE).as_posix(), file.read_text("utf-8"))
    ]
    assert not found, "\n".join(found)


def test_every_room_has_its_place_in_the_order():
    rooms = {
        file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in PACKAGE.rglob("*.py")
    }
    assert rooms - {"__init__"} <= set(ORDER)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("corpora/store.py", "from phoneme_lightning.data import module"),
        ("corpora/store.py", "from phoneme_lightning import data"),
        ("data/module.py", "def late():\n    import phoneme_lightning.models.base"),
        ("models/rnn.py", "from phoneme_lightning.data.deltas import temporal"),
        ("inference/score.py", "from phoneme_lightning.sweep import cli"),
        ("__init__.py", "from phoneme_lightning.batch import Batch"),
        ("models/rnn.py", "from . import base"),
        ("training/classifier.py", "import optuna"),
        ("training/classifier.py", "import wandb"),
        ("sweep/round.py", "import plotly.express"),
        ("sweep/round.py", "from pytorch_lightning import Trainer"),
        ("corpora/audio.py", "import torchaudio.functional as F"),
        ("models/rnn.py", "\n" * 201),
        ("data/module.py", "\n" * 351),
    ],
)
def test_a_broken_rule_is_seen(file, source):
    assert len(list(violations(file, source))) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("data/module.py", "from phoneme_lightning.batch import Batch\nimport torch"),
        ("sweep/ledger.py", "import optuna\nfrom phoneme_lightning import training"),
        ("sweep/report/page.py", "import plotly.express\nimport wandb"),
        ("data/module.py", "\n" * 350),
    ],
)
def test_what_is_allowed_passes(file, source):
    assert not list(violations(file, source))


EVERY_CORPUS = """
    import importlib, pkgutil, phoneme_lightning.corpora as room
    for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize(
    "start",
    [
        "import phoneme_lightning",
        EVERY_CORPUS,
        "from phoneme_lightning.entry import main; main()",
        "from phoneme_lightning.data_cli import main; main()",
        "from phoneme_lightning.sweep.cli import main; main()",
    ],
)
def test_what_must_answer_at_once_loads_nothing_heavy(start):
    program = f"""
import sys
sys.argv[1:] = ["--help"]
try:
    {start.strip()}
except SystemExit as leaving:
    assert not leaving.code, leaving.code
print("loaded:", *sorted({{"lightning", "matplotlib", "torch", "wandb"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
