"""Alignment files: each kind as its makers write it, what is wrong in one, labels a frame."""

import math
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import textgrid
from spoiled import spoiled

from phoneme_lightning.corpora.alignment import ENDINGS, Interval, label_frames, read_alignment
from phoneme_lightning.corpora.quarantine import Damage

SPOKEN = [(0.0, 0.25, ""), (0.25, 0.5, "a"), (0.5, 1.0, "b")]


def write(folder, ending, text, encoding="utf-8"):
    path = folder / f"x{ending}"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (".phn", "0 4000 sil\n4000 8000 a\n8000 16000 b\n"),
        (".lab", "0 2500000 sil\n2500000 5000000 a\n5000000 10000000 b -23.5\n"),
        (".lab", "0.0 0.25 sil\n0.25 0.5 a\n0.5 1.0 b\n"),
        (".ctm", ";; a comment\nx 1 0 0.25 sil\nx 1 0.25 0.25 a\nx 1 0.5 0.5 b 0.9\n"),
        (".ctm", "y 1 0 9 c\nx 1 0.5 0.5 b\nx 1 0 0.25 sil\nx 1 0.25 0.25 a\n"),
    ],
)
def test_each_kind_gives_seconds(tmp_path, ending, text):
    expected = [Interval(a, b, symbol or "sil") for a, b, symbol in SPOKEN]
    assert read_alignment(write(tmp_path, ending, text)) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_of_a_textgrid_the_phones_are_taken(tmp_path, encoding):
    text = textgrid(words=[(0, 1, "ab")], Phones=[*SPOKEN[:2], (0.5, 1.0, "ʒ")])
    expected = [*map(Interval._make, SPOKEN[:2]), Interval(0.5, 1.0, "ʒ")]
    assert read_alignment(write(tmp_path, ".TextGrid", text, encoding)) == expected


def test_a_tier_can_be_named_and_a_single_one_needs_no_name(tmp_path):
    path = write(tmp_path, ".TextGrid", textgrid(x=SPOKEN, y=[(0, 1, "c")]))
    assert read_alignment(path, tier="Y") == [Interval(0, 1, "c")]
    with pytest.raises(Damage, match=r"tier missing: x\.TextGrid has: x, y"):
        read_alignment(path)
    assert len(read_alignment(write(tmp_path, ".TextGrid", textgrid(x=SPOKEN)))) == 3


@pytest.mark.parametrize(
    ("ending", "text", "said"),
    [
        (".TextGrid", "", "bad TextGrid: x.TextGrid: empty"),
        (".TextGrid", textgrid(phones=[(-0.2, 0.5, "a")]), "impossible times: .*: -0.2 s"),
        (".TextGrid", "a poem", "bad TextGrid: x.TextGrid: it does not begin as one"),
        (".TextGrid", textgrid(phones=SPOKEN)[:90], "bad TextGrid: x.TextGrid: cut off"),
        (".TextGrid", textgrid(phones=[]), "no intervals"),
        (".TextGrid", textgrid(phones=[(0, 0.5, "a"), (0.4, 1, "b")]), "bad TextGrid.*overlap"),
        (".TextGrid", textgrid(phones=[(0.5, 0.2, "a")]), "bad TextGrid"),
        (".phn", "", "no intervals"),
        (".phn", "0 8000 a\n4000 16000 b\n", "intervals overlap"),
        (".phn", "8000 0 a\n", "impossible times"),
        (".phn", "-1 800 a\n", "impossible times"),
        (".lab", "0 nan a\n", "impossible times"),
        (".lab", "0 1 a\n1 2 b\n", r"wrong unit: x\.lab ends at 2: .* 100 ns, .* such as 2\.0"),
        (".lab", "0 ² a\n", "malformed line"),
        (".phn", "0 8000\n", "malformed line: x.phn, line 1"),
        (".lab", "the words spoken\n", "malformed line"),
        (".ctm", "x 1 0 inf a\n", "impossible times"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, ending, text, said):
    with pytest.raises(Damage, match=said):
        read_alignment(write(tmp_path, ending, text))


def test_a_frame_is_labelled_by_what_is_spoken_at_its_centre():
    # Centres lie at 12.5 ms, 22.5 ms and so on.
    intervals = [Interval(0, 0.0225, "a"), Interval(0.0225, 0.04, "b"), Interval(0.06, 0.07, "a")]
    labels, told = label_frames(intervals, 0.1, 8, {"a": 0, "b": 1})
    assert labels.tolist() == [0, 1, 1, -1, -1, 0, -1, -1]
    assert labels.dtype == np.int8
    assert told == ["gaps: 2 frames between intervals have no label"]
    assert label_frames(intervals, 0.12, 10, {"a": 0, "b": 1})[1] == told
    *_, early = label_frames(intervals, 0.13, 11, {"a": 0, "b": 1})[1]
    assert early == "ends early: there is no label from 0.070 s on, of 0.130 s"


def test_an_unknown_symbol_and_a_longer_recording_are_damage():
    with pytest.raises(Damage, match="unknown symbols: 'b' 'c'"):
        label_frames([Interval(0, 1, x) for x in "cab"], 1.0, 98, {"a": 0})
    with pytest.raises(Damage, match=r"times beyond the sound: 1\.200 s of 1\.000 s"):
        label_frames([Interval(0, 1.2, "a")], 1.0, 98, {"a": 0})
    assert label_frames([Interval(0, 1.04, "a")], 1.0, 98, {"a": 0})[0].tolist() == [0] * 98


SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1
<exists>
1
"IntervalTier"
"phones"
0
1
2
0
0.5
"a"
0.5
1
"b"
"""
REAL = {
    "long.TextGrid": textgrid(words=[(0, 1, "ab")], phones=SPOKEN).encode(),
    "wide.TextGrid": textgrid(phones=SPOKEN).encode("utf-16"),
    "short.TextGrid": SHORT.encode(),
    "x.phn": b"0 4000 h#\n4000 8000 a\n8000 16000 b\n",
    "x.lab": b"0 2500000 sil\n2500000 5000000 a\n5000000 10000000 b -23.5\n",
    "x.ctm": b"x 1 0 0.25 sil\nx 1 0.25 0.25 a\nx 1 0.5 0.5 b 0.9\n",
}


def test_all_that_is_spoiled_below_is_sound_before(tmp_path):
    for name, content in REAL.items():
        (tmp_path / name).write_bytes(content)
        assert read_alignment(tmp_path / name)[-1][1:] == (1.0, "b")


@pytest.mark.parametrize("name", REAL)
@settings(deadline=None)
@given(st.data())
def test_spoiled_files_are_alignments_or_damage(tmp_path_factory, name, data):
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(data.draw(spoiled(REAL[name], header=len(REAL[name]))))
    try:
        found = read_alignment(path)
    except Damage:
        return
    assert all(0 <= one.begin <= one.end < math.inf for one in found)
    assert all(a.end <= b.begin + 1e-6 for a, b in pairwise(found))
    classes = {one.symbol: place % 100 for place, one in enumerate(found)}
    with suppress(Damage):
        labels, _ = label_frames(found, 1.0, 98, classes)
        assert labels.shape == (98,)


@given(st.binary(max_size=80), st.sampled_from(sorted(ENDINGS)))
def test_any_bytes_are_damage_or_an_alignment(tmp_path_factory, content, ending):
    path = tmp_path_factory.mktemp("fuzz") / f"x{ending}"
    path.write_bytes(content)
    with suppress(Damage):
        assert read_alignment(path)
