"""What a fit ran on, in checkouts made for it."""

import hashlib
import json
import subprocess

import numpy as np
import pytest
import torch

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.data import PhonemeDataModule
from phoneme_lightning.training import environment
from phoneme_lightning.training.environment import git_state, write_environment


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Give a checkout with one commit, in which the sources stand."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "source.py").write_text("before\n")
    person = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*person, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    monkeypatch.setattr(environment, "__file__", str(folder / "source.py"))
    return folder


def written(folder, store):
    data = PhonemeDataModule(corpus=str(store.path))
    write_environment(folder, git_state(), data, torch.device("cpu"), "32-true")
    return json.loads((folder / "environment.json").read_text())


def test_a_clean_checkout_has_no_diff(checkout, tmp_path, tiny_store):
    (tmp_path / "git.diff").write_text("of an earlier start")
    (checkout / "untracked").touch()
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=checkout, text=True).strip()
    seen = written(tmp_path, tiny_store)
    assert seen["git"] == {"commit": head, "dirty": False, "diff": None}
    assert not (tmp_path / "git.diff").exists()
    assert seen["versions"]["torch"] == torch.__version__
    assert seen["threads"] == torch.get_num_threads()
    manifest = (tiny_store.path / "manifest.json").read_bytes()
    assert seen["corpus"] == {
        "name": "synthetic",
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
    }
    assert seen["host"]
    assert seen["device"]


def test_a_change_is_kept_and_brings_the_sources_back(checkout, tmp_path, tiny_store):
    (checkout / "source.py").write_text("after\n")
    seen = written(tmp_path, tiny_store)["git"]
    assert (seen["dirty"], seen["diff"]) == (True, "git.diff")
    subprocess.run(["git", "checkout", "-q", "."], cwd=checkout, check=True)
    subprocess.run(["git", "apply", str(tmp_path / "git.diff")], cwd=checkout, check=True)
    assert (checkout / "source.py").read_text() == "after\n"


def test_a_change_that_is_large_is_left_out_and_that_is_said(checkout, tmp_path, tiny_store):
    (checkout / "source.py").write_text("x" * 1_000_001)
    seen = written(tmp_path, tiny_store)["git"]
    assert seen["dirty"]
    assert seen["diff"].startswith("left out: 1,000,")
    assert not (tmp_path / "git.diff").exists()


def test_outside_of_a_checkout_there_is_none(tmp_path, tiny_store, monkeypatch):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "source.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert written(tmp_path, tiny_store)["git"] is None


def test_the_splits_are_counted_and_what_they_share_is_seen(checkout, tmp_path):
    draw = np.random.default_rng(0)
    spoken = [draw.normal(size=(frames, 13)) for frames in (5, 6, 7, 8)]
    utterances = [  # id, speaker, features, split: 0 train, 1 validation, 2 test
        ("a", "ann", spoken[0], 0),
        ("b", "bob", spoken[1], 0),
        ("c", "ann", spoken[2], 1),
        ("d", "eve", spoken[1], 1),  # one of train's under another name
        ("a", "eve", spoken[3], 2),  # another under the name of one of train's
    ]
    splits = np.array([split for *_, split in utterances], dtype=np.uint8)
    with StoreWriter(tmp_path / "store", coefficients=13) as writer:
        for name, speaker, features, _ in utterances:
            writer.add(name, speaker, features, np.zeros(len(features), int))
        writer.finish(corpus="x", splits={"utterance": splits}, settings={}, counts={})
    seen = written(tmp_path, FrameStore(tmp_path / "store"))["splits"]
    asked = ("utterances", "utterances_in_train", "frames", "speakers", "speakers_in_train")
    assert seen["by"] == "utterance"
    assert [seen["train"][name] for name in asked] == [2, 2, 11, 2, 2]
    assert [seen["validation"][name] for name in asked] == [2, 1, 13, 2, 1]
    assert [seen["test"][name] for name in asked] == [1, 1, 8, 1, 0]
