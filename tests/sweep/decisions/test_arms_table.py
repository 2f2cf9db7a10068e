"""All arms of a round beside one of them."""

import json
import shutil
from pathlib import Path

import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.arms_table import compare_arms
from phoneme_lightning.sweep.decisions.commands import compare
from phoneme_lightning.sweep.design import read_design

ROOT = Path("runs/rounds")


@pytest.mark.parametrize(
    ("asked", "reference", "other"),
    [("lr", "constant", "cosine"), ("lr:cosine", "cosine", "constant")],
)
def test_the_others_stand_beside_the_arm_that_is_named_or_the_first(
    searched, capsys, asked, reference, other
):
    compare(asked, None, True, ROOT)
    (only,) = json.loads(capsys.readouterr().out)
    assert [side.rpartition(":")[2] for side in only["sides"]] == [other, reference]
    compare(f"lr:{other}", f"lr:{reference}", True, ROOT)
    alone = json.loads(capsys.readouterr().out)
    assert only["difference"] == alone["difference"] != 0
    assert only["intervals"] == alone["intervals"]

    compare(asked, None, False, ROOT)
    shown = capsys.readouterr().out
    assert f"{only['difference']:+.4f}" in shown
    assert f"ahead of {reference}" in " ".join(shown.split())


def test_an_arm_that_is_alone_has_nothing_beside_it(searched):
    rows = read_design(searched.design)
    for trial in (row.trial for row in rows if row.arm == "cosine"):
        shutil.rmtree(searched.trials / trial)
    with pytest.raises(InputError, match="constant alone has completed") as refused:
        compare_arms("lr", ROOT)
    assert "\n" not in str(refused.value)


def test_a_trial_alone_is_not_taken_for_its_arm(searched):
    trial = next(row.trial for row in read_design(searched.design) if row.arm == "cosine")
    for name in (f"lr:{trial}", str(searched.trials / trial)):
        with pytest.raises(InputError, match=r"is one trial: give its arm, .*lr:cosine, or"):
            compare_arms(name, ROOT)


def test_a_run_alone_is_told_what_it_lacks(tmp_path):
    (tmp_path / "config.yaml").write_text("seed_everything: 0")
    with pytest.raises(InputError, match=r"has no arms .* give two"):
        compare_arms(str(tmp_path), ROOT)
