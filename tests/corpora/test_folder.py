"""Recordings of one's own: whose they are, and which symbol is which phone."""

import numpy as np
import pytest
from recordings import textgrid, write_folder, write_sound

from phoneme_lightning.corpora.folder import folder_recipe
from phoneme_lightning.errors import InputError


def test_a_folder_is_mapped_by_its_yaml(folder_store):
    assert folder_store.phones == ("SIL", "a", "sh")
    assert set(folder_store.speakers) == {"anna", "bea", "cleo"}
    assert set(np.unique(folder_store.labels)) == {-1, 0, 1, 2}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("phones: {a: a}", r"says nothing of .*'' \(\d+ times\)"),
        ("phones: {a: [a, t], b: t}", "'t' stands for more than one phone"),
        ("phones: {a: no}", "put what YAML reads"),
        ("phones: {a b: a}", "'a b' names a phone, but is empty or has a blank"),
        ('phones: {"": a}', "'' names a phone, but is empty or has a blank"),
        ("phones: {a: a}\nspeaker: '('", "no regular expression"),
        ("phones: {a: a}\ntiers: x", "may hold tier:"),
        ("phones: [a", "cannot be read"),
    ],
)
def test_a_map_that_cannot_be_used_is_one_line(tmp_path, rules, said):
    source = write_folder(tmp_path / "source")
    (source / "phones.yaml").write_text(rules)
    with pytest.raises(InputError, match=said):
        folder_recipe(source, phones=source / "phones.yaml")


def test_without_a_map_the_symbols_are_the_phones(tmp_path):
    recipe = folder_recipe(write_folder(tmp_path / "source"))
    assert set(recipe.phones) == {"SIL", "a", "sil", "t", "ʃ"}


def test_without_a_map_silence_may_have_two_names_but_no_phone_a_blank(tmp_path):
    grid = tmp_path / "anna" / "x.TextGrid"
    write_sound(grid.with_suffix(".wav"))
    grid.write_text(textgrid(phones=[(0, 0.2, ""), (0.2, 0.4, "SIL"), (0.4, 0.8, "a")]))
    assert folder_recipe(tmp_path).phones == ("SIL", "a")
    grid.write_text(textgrid(phones=[(0, 0.4, "a b"), (0.4, 0.8, "a")]))
    with pytest.raises(InputError, match=r"'a b' stands in the alignments, .* give --phones"):
        folder_recipe(tmp_path)


def test_a_folder_keeps_the_licence_that_is_said_of_it(tmp_path):
    source = write_folder(tmp_path / "source")
    assert folder_recipe(source, licence="CC0").settings["licence"] == "CC0"
    assert "licence" not in folder_recipe(source).settings
