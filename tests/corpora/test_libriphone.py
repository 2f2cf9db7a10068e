"""libriphone -> store: what is whole is kept exactly, what is damaged is left out by name."""

import csv
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from phoneme_lightning.corpora.check import check_store
from phoneme_lightning.corpora.libriphone import prepare_libriphone
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.data_cli import main
from phoneme_lightning.errors import InputError


def quarantined(path):
    with (path / "quarantine.csv").open(newline="") as file:
        return [(row["id"], row["split"], row["reason"]) for row in csv.DictReader(file)]


def prepare(folder, tmp_path, **settings):
    return prepare_libriphone(folder.root, tmp_path / "store", max_bad=0.5, **settings)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_whole_corpus_comes_back(folder, tmp_path, end):
    folder.write_texts(end)
    store = FrameStore(prepare_libriphone(folder.root.parent, tmp_path / "store", strict=True))
    assert store.ids == folder.splits["train"] + folder.splits["test"]
    assert store.speakers == [name.split("-")[0] for name in store.ids]
    for position, name in enumerate(store.ids):
        utterance = store[position]
        features = folder.features[name]
        assert (utterance.features == features[:, :13]).all()
        rebuilt = utterance.features @ store.delta_maps[position]
        np.testing.assert_allclose(rebuilt, features[:, 13:], atol=1e-5)
        if name in folder.splits["test"]:
            assert utterance.labels is None
        else:
            assert utterance.labels.tolist() == folder.labels[name]
    assert store.split("utterance", "test").tolist() == [8, 9, 10]
    assert quarantined(store.path) == []
    assert check_store(store.path) == []


def test_the_same_source_gives_the_same_bytes(folder, tmp_path):
    one = prepare_libriphone(folder.root, tmp_path / "one")
    other = prepare_libriphone(folder.root, tmp_path / "other")
    for file in one.iterdir():
        assert file.read_bytes() == (other / file.name).read_bytes()
    assert str(tmp_path) not in (one / "manifest.json").read_text()


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(bytes(content))


def flip_inside_member(path):
    """Damage one number in place: its member's checksum fails, torch.load reads it all the same."""
    with zipfile.ZipFile(path) as archive:
        member = next(item for item in archive.infolist() if item.filename.endswith("/data/0"))
    content = path.read_bytes()
    middle = member.header_offset + (len(content) - member.header_offset) // 3
    flip(path, middle)
    assert torch.load(path, weights_only=True).shape[1] == 39


def spoil(change):
    def damage(folder, split, name):
        folder.save(split, name, change(torch.from_numpy(folder.features[name].copy())))

    return damage


def put(value):
    def change(features):
        features[3, 20] = value
        return features

    return change


def roll_derived(features):
    features[:, 13:] = features[:, 13:].roll(1, dims=0)
    return features


FILE_DAMAGE = {
    "missing file": lambda folder, split, name: folder.file(split, name).unlink(),
    "checksum mismatch": lambda folder, split, name: flip_inside_member(folder.file(split, name)),
    "broken archive": lambda folder, split, name: os.truncate(folder.file(split, name), 900),
    "not a tensor": lambda folder, split, name: folder.save(split, name, [1, 2, 3]),
    "not float32": spoil(lambda features: features.double()),
    "not contiguous": spoil(lambda features: features.T.contiguous().T),
    "wrong shape": spoil(lambda features: features[:, :38].contiguous()),
    "not finite": spoil(put(float("nan"))),
    "implausible range": spoil(put(1e3)),
    "deltas not linear": spoil(roll_derived),
}


@pytest.mark.parametrize("reason", FILE_DAMAGE)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_damaged_file_is_quarantined_under_its_reason(folder, tmp_path, capsys, split, reason):
    name = folder.splits[split][1]
    FILE_DAMAGE[reason](folder, split, name)
    store = FrameStore(prepare(folder, tmp_path))
    [(bad, where, why)] = quarantined(store.path)
    assert (bad, where, why.split(":")[0]) == (name, split, reason)
    assert name not in store.ids
    assert len(store) == 10
    assert store.manifest["counts"]["quarantined"] == {reason: 1}
    assert check_store(store.path) == []
    said = capsys.readouterr().err
    assert f"1 x {reason}" in said
    assert (f"a submission needs all of test:\n  {name}" in said) == (split == "test")


def edit(text, change):
    def damage(folder):
        file = folder.root / text
        lines = file.read_text().split("\n")
        change(lines)
        file.write_text("\n".join(lines))

    return damage


def replace(number, change):
    def edit_line(lines):
        lines[number] = change(lines[number])

    return edit_line


TEXT_DAMAGE = {
    "label count": edit("train_labels.txt", replace(1, lambda line: line + " 0")),
    "label range": edit("train_labels.txt", replace(1, lambda line: line + " 41")),
    "malformed label line": edit("train_labels.txt", replace(1, lambda line: line + " x")),
    "labelled twice": edit("train_labels.txt", lambda lines: lines.append(lines[1])),
    "no label line": edit("train_labels.txt", lambda lines: lines.pop(1)),
    "labels of no utterance": edit("train_labels.txt", lambda lines: lines.append("9-9-9 0 0")),
    "named twice": edit("train_split.txt", lambda lines: lines.append(lines[1])),
    "also in the test split": edit("test_split.txt", lambda lines: lines.append("11-7-0001")),
}


@pytest.mark.parametrize("reason", TEXT_DAMAGE)
def test_a_damaged_text_is_quarantined_under_its_reason(folder, tmp_path, reason):
    TEXT_DAMAGE[reason](folder)
    folder.save("test", "11-7-0001", torch.from_numpy(folder.features["11-7-0001"]))
    store = FrameStore(prepare(folder, tmp_path))
    [(bad, where, why)] = quarantined(store.path)
    assert bad == ("9-9-9" if reason == "labels of no utterance" else "11-7-0001")
    assert (where, why.split(":")[0]) == ("train", reason)
    if "line" in reason and reason != "no label line":
        assert "line 2: invalid literal for int() with base 10: 'x'" in why
    assert len(set(store.ids)) == len(store)
    assert check_store(store.path) == []


@pytest.mark.parametrize("text", ["train_split.txt", "test_split.txt", "train_labels.txt"])
@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe\x00"])
def test_a_text_that_is_missing_or_empty_is_an_error_that_names_it(folder, tmp_path, text, content):
    (folder.root / text).unlink()
    if content is not None:
        (folder.root / text).write_bytes(content)
    with pytest.raises(InputError, match=text):
        prepare(folder, tmp_path)
    assert list(tmp_path.iterdir()) == [folder.root.parent]


def test_a_folder_of_another_layout_is_an_error(folder, tmp_path):
    with pytest.raises(InputError, match=r"holds train_split\.txt"):
        prepare_libriphone(tmp_path / "elsewhere", tmp_path / "store")
    (folder.root / "feat" / "test").rename(folder.root / "feat" / "dev")
    with pytest.raises(InputError, match="feat/test is missing"):
        prepare(folder, tmp_path)


def test_strict_and_max_bad_stop_a_prepare_and_keep_the_older_store(folder, tmp_path):
    out = prepare(folder, tmp_path)
    before = (out / "manifest.json").read_bytes()
    for name in folder.splits["train"][:2]:
        folder.file("train", name).unlink()
    FILE_DAMAGE["not finite"](folder, "test", folder.splits["test"][0])
    with pytest.raises(InputError, match=r"--strict allows none\): 2 x missing file, 1 x not fin"):
        prepare_libriphone(folder.root, out, max_bad=1.0, strict=True)
    with pytest.raises(InputError, match=r"3 of 11 .* \(27\.27%, --max-bad allows 1\.00%\)"):
        prepare_libriphone(folder.root, out)
    assert (out / "manifest.json").read_bytes() == before
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"source", "store", ".store.lock"}
    assert len(FrameStore(prepare_libriphone(folder.root, out, max_bad=3 / 11))) == 8


def test_a_folder_that_is_no_store_is_never_replaced(folder):
    with pytest.raises(InputError, match="is no frame store"):
        prepare_libriphone(folder.root, folder.root)
    assert folder.file("train", folder.splits["train"][0]).is_file()


def test_the_command_says_what_it_replaces_and_what_it_left_out(
    folder, tmp_path, monkeypatch, capsys
):
    def run(*options):
        command = ["phoneme-data", "prepare", "libriphone", str(folder.root), "--out", "store"]
        monkeypatch.setattr(sys, "argv", [*command, *options])
        with pytest.raises(SystemExit) as leaving:
            main()
        return leaving.value.code or 0, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    folder.file("test", folder.splits["test"][0]).unlink()
    code, out, err = run("--max-bad", "10%")
    assert code == 0
    assert out.startswith("store: 10 utterances, ")
    assert out.endswith("left out, and why: store/quarantine.csv\n")
    assert "quarantined 1: 1 x missing file" in err
    code, out, err = run("--max-bad", "10%", "--strict")
    assert (code, out) == (2, "store holds a store: it is replaced when the new one is whole\n")
    assert err.splitlines()[-1].startswith("error: 1 of 11 utterances are bad")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_an_interrupted_prepare_leaves_no_half_store(folder, tmp_path, number, code):
    last = folder.file("test", folder.splits["test"][-1])
    last.unlink()
    os.mkfifo(last)  # a file that is never read to its end
    # A shell starts what runs in the background deaf to SIGINT, and its children inherit that.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from phoneme_lightning.data_cli import main; main()"
    )
    command = [sys.executable, "-c", program, "prepare", "libriphone", str(folder.root)]
    command += ["--out", str(tmp_path / "store")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    partial = tmp_path / ".store.partial"
    writer = os.open(last, os.O_WRONLY)  # returns when the process has come to it
    assert partial.is_dir()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == code
    assert partial.exists() == (number == signal.SIGKILL)
    assert "Traceback" not in said
    assert not (tmp_path / "store").exists()
    last.unlink()
    folder.save("test", folder.splits["test"][-1], torch.from_numpy(folder.features[last.stem]))
    assert check_store(prepare(folder, tmp_path)) == []
    assert not partial.exists()
