"""The command that judges a round, on a real one that is kept."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.commands import diagnose
from phoneme_lightning.sweep.findings.diagnose import diagnose as judge
from phoneme_lightning.sweep.findings.diagnose import to_json, write_findings
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.folder import RoundFolder, find_round

RESULTS = Path(__file__).parents[3] / "results/rounds"


@pytest.mark.parametrize("name", sorted(path.name for path in RESULTS.iterdir()))
def test_kept_findings_are_those_of_the_rules(name):
    folder = RoundFolder(RESULTS / name)
    found = to_json(judge(read_evidence(folder)))
    assert (folder.path / "findings.json").read_text("utf-8") == found


def test_a_folder_that_may_only_be_read_is_judged_and_a_full_disk_is_said(monkeypatch, tmp_path):
    def refuse(number):
        def write(path, text):
            raise OSError(number, "no", str(path))

        monkeypatch.setattr("phoneme_lightning.sweep.findings.diagnose.write_atomically", write)

    for number in (errno.EROFS, errno.EACCES):
        refuse(number)
        write_findings(RoundFolder(tmp_path), [])
    refuse(errno.ENOSPC)
    with pytest.raises(OSError, match="no"):
        write_findings(RoundFolder(tmp_path), [])


def test_a_kept_round_is_judged(capsys, tmp_path):
    shutil.copytree(RESULTS / "lr_round1", tmp_path / "lr_round1")
    assert diagnose("lr_round1", tmp_path, as_json=True) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "lr_round1/findings.json").read_text("utf-8") == printed
    found = {(one["rule"], one["arm"]): one for one in json.loads(printed)}
    assert found["length", None]["verdict"] == "warn"
    assert found["boundary", None]["verdict"] == "ok"
    assert found["infeasible", "constant"]["verdict"] == "info"
    assert diagnose("lr_round1", tmp_path, as_json=False) == 0
    said = capsys.readouterr().out
    assert said.index("warn ") < said.index("info ") < said.index("ok ")
    assert "phoneme-sweep next-round lr_round1  # training.steps becomes 1200" in said


def test_a_round_that_has_not_ended_is_said_to(capsys, tmp_path):
    kept = tmp_path / "lr_round1"
    shutil.copytree(RESULTS / "lr_round1", kept)
    assert diagnose("lr_round1", tmp_path, as_json=False) == 0
    assert "still to run" not in capsys.readouterr().out
    shutil.rmtree(kept / "trials/p000-cosine-s0")
    assert diagnose("lr_round1", tmp_path, as_json=False) == 0
    assert capsys.readouterr().out.startswith("1 of 40 trials have still to run (phoneme-sweep st")


def test_a_name_that_only_a_kept_round_has_is_told_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(RESULTS.parents[1])
    with pytest.raises(InputError, match=r"give its folder: results/rounds/lr_round1$"):
        find_round("lr_round1", tmp_path)
    with pytest.raises(InputError, match=r"none has been run$"):
        find_round("lr_round", tmp_path)
