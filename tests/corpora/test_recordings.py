"""Corpora of recordings: what their folders become, in parts, in parallel, and with damage."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import textgrid, write_folder, write_librispeech, write_sound, write_timit

from phoneme_lightning.corpora.alignment import read_alignment
from phoneme_lightning.corpora.assemble import assemble, prepare_recordings
from phoneme_lightning.corpora.audio import SAMPLE_RATE, frame_count
from phoneme_lightning.corpora.check import check_store
from phoneme_lightning.corpora.folder import folder_recipe
from phoneme_lightning.corpora.librispeech import librispeech_recipe
from phoneme_lightning.corpora.pieces import pieces_of
from phoneme_lightning.corpora.sound import read_audio
from phoneme_lightning.corpora.splits import complete_splits
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.timit import timit_recipe
from phoneme_lightning.errors import InputError
from phoneme_lightning.phones import PHONES, TIMIT_39, TIMIT_TO_39, TIMIT_TO_48

SAMPLES = Path(os.environ.get("PHONEME_SAMPLES", "nowhere"))


def rows(file):
    with file.open(newline="", encoding="utf-8") as lines:
        return [tuple(row.values()) for row in csv.DictReader(lines)]


def same_bytes(one, other):
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in other.iterdir())
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in files)


@pytest.mark.parametrize("phones", [61, 48, 39])
def test_timit_is_labelled_in_one_inventory_and_scored_in_39(tmp_path, phones):
    source = write_timit(tmp_path / "source")
    recipe = timit_recipe(source, phones=phones)
    store = FrameStore(prepare_recordings(recipe, tmp_path / "store", workers=1))
    assert len(store.phones) == phones
    assert set(store.scored_phones) == set(TIMIT_39)
    utterance = store[store.ids.index("fcjf0-sx10")]
    intervals = read_alignment(source / "dr1-fcjf0" / "sx10.phn")
    for frame, label in enumerate(utterance.labels):
        centre = (160 * frame + 200) / SAMPLE_RATE
        symbol = next(x.symbol for x in intervals if x.begin <= centre < x.end)
        expected = symbol if phones == 61 else TIMIT_TO_48[symbol]
        if phones == 39 and expected:
            expected = TIMIT_TO_39[expected]
        assert (store.phones[label] if label >= 0 else None) == expected
        if expected and symbol != "q":
            assert store.scored_phones[store.fold[label]] == TIMIT_TO_39[TIMIT_TO_48[symbol]]


def test_the_whole_of_timit_has_its_own_test_and_leaves_sa_out(tmp_path):
    source = write_timit(tmp_path / "source", whole=True)
    store = FrameStore(prepare_recordings(timit_recipe(source), tmp_path / "store", workers=1))
    for scheme in store.schemes:
        speakers = {
            name: {store.speakers[p] for p in store.split(scheme, name)}
            for name in ("train", "validation", "test")
        }
        train = {"fcjf0", "mcpm0", "fdaw0"}
        assert speakers == {"train": train, "validation": {"faks0"}, "test": {"mdab0"}}
    assert {name.split("-")[1] for name in store.ids} == {"sx10", "si20"}
    assert len(timit_recipe(source, sa=True).takes) == len(timit_recipe(source).takes) * 3 / 2


def test_librispeech_reads_lines_and_textgrids(tmp_path, librispeech_store):
    assert librispeech_store.phones == PHONES
    source = write_librispeech(tmp_path / "source", grids=True)
    (source / "aligned" / "1-2-3.TextGrid").write_text("of no recording")
    recipe = librispeech_recipe(source, labels=source / "aligned")
    assert recipe.lone["labels_without_recording"] == ["1-2-3"]
    store = FrameStore(prepare_recordings(recipe, tmp_path / "store", workers=1, strict=True))
    heard = {store.phones[label] for label in np.unique(store.labels) if label >= 0}
    assert heard == {"SIL", "AH", "IY", "S", "SPN"}


@pytest.mark.parametrize("folder", ["train-clean-100", "dev-clean", "test-other"])
def test_librispeechs_folders_say_what_is_test(tmp_path, folder):
    source = write_librispeech(tmp_path / "source")
    (source / "LibriSpeech").rename(source / folder)
    part = {"train": "train", "dev": "validation", "test": "test"}[folder.split("-")[0]]
    assert {take.part for take in librispeech_recipe(source).takes} == {part}
    above = source.rename(tmp_path / "test-data")
    assert {take.part for take in librispeech_recipe(above).takes} == {part}
    within = librispeech_recipe(above / folder, labels=above / "phone_labels.txt")
    assert {take.part for take in within.takes} == {""}


def test_librispeechs_endings_may_be_large(tmp_path):
    source = write_librispeech(tmp_path / "source", grids=True)
    for path in [*source.rglob("*.flac"), *source.rglob("*.TextGrid")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    assert len(librispeech_recipe(source).takes) == 9


def test_what_is_bad_is_named_and_the_rest_goes_on(tmp_path, capsys):
    source = tmp_path / "source"
    whole = textgrid(phones=[(0, 0.4, ""), (0.4, 0.8, "a")])
    grids = {
        "beyond": textgrid(phones=[(0, 2.0, "a")]),
        "gap": textgrid(phones=[(0, 0.3, ""), (0.5, 0.8, "a")]),
        "half": textgrid(phones=[(0, 0.3, "a")]),
        "overlap": textgrid(phones=[(0, 0.5, ""), (0.3, 0.8, "a")]),
        "tierless": textgrid(words=[(0, 0.8, "a")], letters=[(0, 0.8, "a")]),
    }
    names = [
        "empty",
        "notes",
        "nan",
        "short",
        "stereo",
        "telephone",
        "mute",
        "good",
        "fine",
        *grids,
    ]
    for name in names:
        write_sound(source / "anna" / f"{name}.wav", subtype="FLOAT")
        path = source / "anna" / f"{name}.TextGrid"
        path.write_text(grids.get(name, whole), encoding="utf-8")
    (source / "anna" / "empty.wav").write_bytes(b"")
    (source / "anna" / "notes.wav").write_text("to do")
    write_sound(source / "anna" / "short.wav", seconds=0.02)
    write_sound(source / "anna" / "stereo.wav", channels=2)
    write_sound(source / "anna" / "telephone.wav", rate=8_000)
    soundfile.write(source / "anna" / "mute.wav", np.zeros(12_800), 16_000)
    sound = bytearray((source / "anna" / "nan.wav").read_bytes())
    sound[-4:] = np.float32(np.nan).tobytes()
    (source / "anna" / "nan.wav").write_bytes(sound)
    out = prepare_recordings(folder_recipe(source), tmp_path / "store", workers=1, max_bad=1.0)
    store = FrameStore(out)
    used = ("fine", "gap", "good", "half", "mute", "stereo", "telephone")
    assert set(store.ids) == {f"anna-{x}" for x in used}
    why = {name.removeprefix("anna-"): reason for name, _, reason in rows(out / "quarantine.csv")}
    expected = {
        **{"empty": "empty", "notes": "not audio", "nan": "holds NaN", "short": "too short"},
        **{"beyond": "times beyond the sound", "overlap": "bad TextGrid", "tierless": "tier miss"},
    }
    for name, reason in expected.items():
        assert why.pop(name).startswith(reason)
    assert not why
    remarks = dict(rows(out / "remarks.csv"))
    assert remarks["anna-gap"].startswith("gaps: 20 frames")
    assert remarks["anna-half"].startswith("ends early: there is no label from 0.300 s on")
    assert remarks["anna-stereo"].startswith("2 channels")
    assert remarks["anna-telephone"].startswith("8000 samples a second")
    assert remarks["anna-mute"] == "silent: every sample is 0"
    assert len(remarks) == 5
    capsys.readouterr()
    with pytest.raises(InputError, match=r"7 of 14 .* /.*/\.other\.pieces keeps what is prepared"):
        prepare_recordings(folder_recipe(source), tmp_path / "other", workers=1)
    told = capsys.readouterr().err
    assert all(f"  anna-{name}: {reason}" in told for name, reason in expected.items())


def test_too_few_for_a_store_leave_nothing_behind(tmp_path):
    source = write_timit(tmp_path / "source")
    for path in source.glob("*/s*0.phn"):
        if path.stem != "sx10" or "fcjf0" not in str(path):
            path.unlink()
    out = tmp_path / "out" / "store"
    with pytest.raises(InputError, match="1 utterances can be used"):
        prepare_recordings(timit_recipe(source), out, workers=1)
    assert {path.name for path in out.parent.iterdir()} <= {".store.lock"}


def test_what_has_no_partner_is_named(tmp_path):
    source = write_folder(tmp_path / "source")
    (source / "bea" / "take1.wav").unlink()
    (source / "bea" / "take2.lab").unlink()
    (source / "bea" / "take3.phn").write_text("another of a recording that has one already")
    out = prepare_recordings(folder_recipe(source), tmp_path / "store", workers=1)
    settings = FrameStore(out).manifest["settings"]
    assert settings["recordings_without_labels"] == 1
    assert settings["labels_without_recording"] == 1
    assert [row for row in rows(out / "remarks.csv") if row[1].startswith("left out")] == [
        ("bea-take2", "left out: no labels belong to this recording"),
        ("bea-take1", "left out: these labels belong to no recording"),
    ]


def test_what_has_no_partner_in_timit_is_named_but_for_sa(tmp_path):
    source = write_timit(tmp_path / "source")
    for name in ("sa1.phn", "sx10.phn", "si20.wav"):
        (source / "dr1-fcjf0" / name).unlink()
    assert timit_recipe(source).lone == {
        "recordings_without_labels": ["fcjf0-sx10"],
        "labels_without_recording": ["fcjf0-si20"],
    }
    assert "fcjf0-sa1" in timit_recipe(source, sa=True).lone["recordings_without_labels"]


def test_a_link_to_nowhere_is_told_by_name(tmp_path):
    source = write_timit(tmp_path / "source")
    (source / "dr1-fcjf0" / "si20.wav").unlink()
    (source / "dr1-fcjf0" / "si20.wav").symlink_to(tmp_path / "nowhere.wav")
    out = prepare_recordings(timit_recipe(source), tmp_path / "store", workers=1, max_bad=1.0)
    assert rows(out / "quarantine.csv") == [("fcjf0-si20", "", "no such file")]


def test_shards_in_any_order_and_processes_give_the_same_bytes(tmp_path):
    recipe = timit_recipe(write_timit(tmp_path / "source"), sa=True)
    whole = prepare_recordings(recipe, tmp_path / "whole", workers=1)
    assert same_bytes(whole, prepare_recordings(recipe, tmp_path / "pool", workers=2))
    prepare_recordings(recipe, tmp_path / "out", shard=(2, 2), workers=1)
    with pytest.raises(InputError, match=r"2 of the 3 pieces .* the first is number 1"):
        assemble(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    prepare_recordings(recipe, tmp_path / "out", shard=(1, 2), workers=1)
    assert same_bytes(whole, assemble(tmp_path / "out"))
    assert check_store(whole) == []
    assert not pieces_of(tmp_path / "out").exists()


def test_what_is_there_is_kept_and_what_changed_is_made_again(tmp_path):
    source = write_timit(tmp_path / "source")
    out = tmp_path / "out"
    prepare_recordings(timit_recipe(source), out, shard=(1, 1), workers=1)
    made = {path.name: path.stat().st_mtime_ns for path in pieces_of(out).glob("*.npz")}
    (source / "dr1-mzzz0" / "sx10.phn").write_text("0 12800 iy\n")
    prepare_recordings(timit_recipe(source), out, shard=(1, 1), workers=1)
    again = {path.name: path.stat().st_mtime_ns for path in pieces_of(out).glob("*.npz")}
    assert len(made) == len(again) == 2
    assert len(made.items() & again.items()) == 1
    store = FrameStore(assemble(out))
    labels = store[store.ids.index("mzzz0-sx10")].labels
    assert {store.phones[label] for label in labels} == {"iy"}


def test_an_interrupt_leaves_whole_pieces_to_go_on_with(tmp_path):
    recipe = timit_recipe(write_timit(tmp_path / "source"))
    out, program = tmp_path / "out", tmp_path / "program.py"
    program.write_text(f"""
import time
from functools import partial
from pathlib import Path
from phoneme_lightning.corpora import pieces, timit

def slow(take, seconds, frames, *, label):
    time.sleep(0.5)
    return label(take, seconds, frames)

if __name__ == "__main__":
    recipe = timit.timit_recipe(Path({str(tmp_path / "source")!r}))
    object.__setattr__(recipe, "label", partial(slow, label=recipe.label))
    pieces.prepare_pieces(recipe, Path({str(out)!r}), workers=1)
""")
    process = subprocess.Popen([sys.executable, str(program)], stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(pieces_of(out).glob("*.npz")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = list(pieces_of(out).glob("*.npz"))
    assert len(made) == 1
    before = made[0].stat().st_mtime_ns
    prepare_recordings(recipe, out, shard=(1, 1), workers=1)
    assert made[0].stat().st_mtime_ns == before
    whole = prepare_recordings(recipe, tmp_path / "whole", workers=1)
    assert same_bytes(whole, assemble(out))


def test_splits_of_the_corpus_stand_and_others_are_drawn_by_speaker():
    speakers = [f"s{number % 5}" for number in range(40)]
    drawn = complete_splits(speakers, [""] * 40)
    for rows_of in drawn.values():
        assert (rows_of == 2).sum() == 8
        assert len({x for x, split in zip(speakers, rows_of, strict=True) if split == 2}) == 1
    own = ["train", "validation", "test", "train"]
    assert complete_splits(["a", "b", "c", "d"], own)["speaker"].tolist() == [0, 1, 2, 0]
    assert sorted(complete_splits(["a"] * 9, [""] * 9)["utterance"])[-1] == 2
    with pytest.raises(InputError, match="2 utterances can be used"):
        complete_splits(["a", "b"], ["", ""])


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="PHONEME_SAMPLES names no folder of real samples")
def test_real_samples_agree_with_the_rule_of_frames(tmp_path):
    takes = librispeech_recipe(SAMPLES / "librispeech-sample").takes
    assert takes
    for take in takes:
        with take.labels.open() as file:
            file.seek(take.at)
            frames = len(file.readline().split()) - 1
        assert frame_count(len(read_audio(take.audio))) == frames
    recipe = timit_recipe(SAMPLES / "timit-sample")
    store = FrameStore(prepare_recordings(recipe, tmp_path / "store", workers=2, strict=True))
    assert len(set(store.speakers)) == 12
    assert (np.asarray(store.labels) >= 0).mean() > 0.98
    assert check_store(store.path) == []
