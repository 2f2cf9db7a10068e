"""Transcripts become files that are whole, in a folder where that can be."""

import numpy as np
import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.transcribe import transcribe
from phoneme_lightning.inference.transcriber import Begin
from phoneme_lightning.inference.transcript_files import PLOT, files_of, write_files
from phoneme_lightning.inference.transcripts import FORMATS, Transcript


def transcript(stem="talk"):
    """Give what was heard in half a second."""
    classes, sure = np.array([0] * 20 + [1] * 28, dtype=np.uint8), np.full(48, 0.5)
    return Transcript(f"in/{stem}.wav", stem, 0.5, ("SIL", "AA"), classes, sure, ("a",), False)


def test_recordings_of_one_name_in_two_folders_stay_apart_in_ctm(tmp_path):
    for stem in ("a/talk", "b c/talk"):
        files = files_of(stem, tmp_path, ["ctm"])
        write_files(transcript(stem), Begin(0), files)
    assert (tmp_path / "a" / "talk.ctm").read_text() == (
        "a/talk 1 0.0000 0.2075 SIL 0.500\na/talk 1 0.2075 0.2925 AA 0.500\n"
    )
    assert (tmp_path / "b c" / "talk.ctm").read_text().startswith("b_c/talk 1 0.0000 ")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("before", [{}, {"talk.TextGrid": "old", "talk.csv": "old"}])
def test_half_a_transcript_never_has_its_name(error, before, tmp_path, monkeypatch):
    def write_half(told, file):
        file.write("begin,")
        file.flush()
        raise error

    for name, text in before.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setitem(FORMATS, "csv", (".csv", write_half))
    files = files_of("talk", tmp_path, ["textgrid", "csv"])
    with pytest.raises(error):
        write_files(transcript(), Begin(0), files)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == before


def test_a_picture_stands_beside_it(tmp_path):
    begin = Begin(1)
    sound = np.sin(np.arange(8_000, dtype=np.float32))
    list(begin.keep_samples([sound]))
    list(begin.keep_heard([np.log(np.full((48, 2), 0.5, dtype=np.float32))]))
    write_files(transcript(), begin, files_of("talk", tmp_path / "new", ["json", PLOT]))
    assert {file.name for file in (tmp_path / "new").iterdir()} == {"talk.json", "talk.png"}


@pytest.mark.parametrize("out", ["/proc/q", "a file/q"])
def test_a_folder_that_cannot_be_is_told_before_a_net_is_loaded(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").touch()
    (tmp_path / "talk.wav").touch()
    said = rf"^--out is {out}, where nothing can be written \([A-Z][a-z ]+\): give another$"
    with pytest.raises(InputError, match=said):
        transcribe(["nowhere.ckpt", "talk.wav"], out=out)
