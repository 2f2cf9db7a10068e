"""A new round file: whole, commented by the docs of the fields, and running as it stands."""

from dataclasses import fields
from pathlib import Path

import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep import round as schema
from phoneme_lightning.sweep.init import field_docs, template, write_template
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.round_file import make_quick, read_round

ROOT = Path(__file__).parents[2]
BASE = str(ROOT / "configs/rnn.yaml")
CLASSES = [
    getattr(schema, name) for name in schema.__all__ if hasattr(getattr(schema, name), "__mro__")
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_field_is_documented(kind):
    assert set(field_docs(kind)) == {field.name for field in fields(kind)}
    assert all(doc.endswith(".") for doc in field_docs(kind).values())


def test_every_key_of_a_new_file_has_its_field_s_doc_above_it():
    lines = template("mine", BASE).splitlines()
    for kind, indent in ((schema.Round, ""), (schema.Budget, "  "), (schema.Quick, "  ")):
        for name, doc in field_docs(kind).items():
            if name == "evidence":
                continue
            places = [at for at, line in enumerate(lines) if line.startswith(f"{indent}{name}:")]
            above = [" ".join(line.strip(" #") for line in lines[at - 2 : at]) for at in places]
            assert any(said.endswith(doc[-40:]) for said in above), name


def test_a_new_file_is_a_round_that_the_playbook_does_not_object_to(tmp_path):
    path = write_template("mine", BASE, tmp_path)
    round = read_round(path)
    assert (round.name, round.base) == ("mine", [BASE])
    for cut in (round, make_quick(round)):
        assert not [found for found in lint(cut) if found.severity != "info"]


def test_nothing_is_overwritten(tmp_path):
    path = write_template("mine", BASE, tmp_path)
    path.write_text("precious")
    with pytest.raises(InputError, match=r"mine\.yaml is there already"):
        write_template("mine.yaml", BASE, tmp_path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "base", "said"),
    [
        ("up/mine", BASE, "NAME is 'up/mine'"),
        ("my round", BASE, "name is 'my round'"),
        ("mine", "configs/nosuch.yaml", "--base is configs/nosuch.yaml"),
    ],
)
def test_a_mistake_is_named(tmp_path, name, base, said):
    with pytest.raises(InputError, match=said):
        write_template(name, base, tmp_path)
    assert not list(tmp_path.iterdir())
