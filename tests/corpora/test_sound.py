"""read_audio: what it makes of every kind of sound, and what it says of what is none."""

import io
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import RATE, write_sound
from spoiled import spoiled

from phoneme_lightning.corpora.audio import extract
from phoneme_lightning.corpora.sound import (
    BadSound,
    read_audio,
    seconds_of,
    stream_audio,
)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("form", ["WAV", "FLAC", "NIST", "AIFF"])
def test_samples_come_back_whatever_they_are_stored_as(tmp_path, form, subtype):
    if not soundfile.check_format(form, subtype):
        pytest.skip(f"there is no {form} of {subtype}")
    path = tmp_path / "x"
    written = write_sound(path, format=form, subtype=subtype)
    told = []
    read = read_audio(path, remark=told.append)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, written[:, 0], atol=2**-15)
    assert told == []


def test_channels_are_averaged_and_that_is_told(tmp_path):
    written = write_sound(tmp_path / "x.wav", channels=2, subtype="FLOAT")
    told = []
    read = read_audio(tmp_path / "x.wav", remark=told.append)
    np.testing.assert_allclose(read, written.mean(axis=1), atol=1e-6)
    assert told == ["2 channels: averaged"]


def test_silence_is_told_of_a_whole_recording(tmp_path):
    told = []
    soundfile.write(tmp_path / "x.wav", np.zeros(RATE), RATE)
    assert len(list(stream_audio(tmp_path / "x.wav", 0.4, remark=told.append))) == 3
    assert told == ["silent: every sample is 0"]
    soundfile.write(tmp_path / "x.wav", np.eye(1, RATE)[0], RATE)
    list(stream_audio(tmp_path / "x.wav", 0.4, remark=told.append))
    assert len(told) == 1


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_another_rate_is_brought_to_16_kilohertz_at_the_same_pitch(tmp_path, rate):
    path = tmp_path / "x.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(2 * rate) / rate), rate)
    told = []
    read = read_audio(path, remark=told.append)
    assert abs(len(read) - 2 * RATE) <= 1
    assert np.abs(np.fft.rfft(read[:RATE])).argmax() == 1_000
    assert bool(told) == (rate < RATE)
    assert seconds_of(path) == 2


@pytest.mark.parametrize("rate", [RATE, 22_050])
def test_blocks_end_to_end_are_the_whole(tmp_path, rate):
    write_sound(tmp_path / "x.wav", rate=rate, seconds=2.3)
    blocks = list(stream_audio(tmp_path / "x.wav", 0.37))
    assert len(blocks) == 7
    assert max(map(len, blocks)) < 0.5 * RATE
    np.testing.assert_array_equal(np.concatenate(blocks), read_audio(tmp_path / "x.wav"))


def wav(length=None):
    """Give a wav file's bytes, the header's length as a program writes it that does not know."""
    file = io.BytesIO()
    soundfile.write(file, np.linspace(-0.5, 0.5, 8_000), RATE, format="WAV")
    data = bytearray(file.getvalue())
    if length is not None:
        data[40:44] = length.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("length", [None, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFEFFC])
def test_a_pipe_is_read_to_its_end(length):
    read, write = os.pipe()
    sender = threading.Thread(target=lambda: os.fdopen(write, "wb").write(wav(length)))
    sender.start()
    with os.fdopen(read, "rb") as pipe:
        assert len(read_audio(pipe)) == 8_000
    sender.join()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"a poem" * 99, "not audio"),
        (wav()[:20], "not audio"),
        (wav()[:44], "without a sample|cut off"),
        (wav()[:9_000], "cut off"),
        (wav(0), r"without a sample \(its header says 0 bytes, but 16000 follow; sox"),
        (wav(0)[:44], r"without a sample:"),
    ],
)
def test_what_cannot_be_used_is_told_by_name_and_reason(tmp_path, content, reason):
    (tmp_path / "odd.wav").write_bytes(content)
    with pytest.raises(BadSound, match=rf"odd\.wav: ({reason})") as told:
        read_audio(tmp_path / "odd.wav")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("ending", [".flac", ".sph"])
def test_other_formats_that_are_cut_off_are_told(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    write_sound(path, format="FLAC" if ending == ".flac" else "NIST", subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-3_000])
    with pytest.raises(BadSound, match="cut off or damaged"):
        read_audio(path)


def test_missing_sound_and_sound_of_no_numbers_are_told(tmp_path):
    with pytest.raises(BadSound, match=r"x\.wav: no such file"):
        read_audio(tmp_path / "x.wav")
    samples = np.zeros(RATE)
    samples[8_000] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(BadSound, match=r"NaN or infinity \(at 0\.50 s\)"):
        read_audio(tmp_path / "x.wav")


def encoded(form, subtype, rate=RATE, channels=1):
    """Give a file's bytes, half a second."""
    file = io.BytesIO()
    sound = np.random.default_rng(0).normal(scale=0.1, size=(rate // 2, channels))
    soundfile.write(file, sound, rate, format=form, subtype=subtype)
    return file.getvalue()


REAL = {
    "wav": encoded("WAV", "PCM_16"),
    "wav of 24 bit": encoded("WAV", "PCM_24", rate=44_100, channels=2),
    "wav of floats": encoded("WAV", "FLOAT", rate=8_000),
    "flac": encoded("FLAC", "PCM_16"),
    "NIST sphere": encoded("NIST", "PCM_16"),
}


@pytest.mark.parametrize("kind", REAL)
@settings(deadline=None)
@given(st.data())
def test_spoiled_files_are_sound_or_refused(kind, data):
    content = data.draw(spoiled(REAL[kind], header=1024 if kind == "NIST sphere" else 64))
    with suppress(BadSound):
        read = read_audio(io.BytesIO(content))
        assert read.dtype == np.float32
        assert read.ndim == 1
        assert np.isfinite(extract(read)).all()
        assert len(read) < 10 * 16 * len(content) + RATE


def test_what_is_too_loud_for_cepstra_is_told_and_integers_as_floats_are_not(tmp_path):
    sound = np.random.default_rng(0).normal(size=RATE)
    soundfile.write(tmp_path / "x.wav", 1e12 * sound, RATE, subtype="FLOAT")
    with pytest.raises(BadSound, match=r"impossibly loud \(at 0\.00 s\)"):
        read_audio(tmp_path / "x.wav")
    soundfile.write(tmp_path / "x.wav", 32_767 * sound, RATE, subtype="FLOAT")
    assert np.isfinite(extract(read_audio(tmp_path / "x.wav"))).all()


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="no file that opens but not reads")
def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "x.wav").symlink_to("/proc/self/mem")
    with pytest.raises(BadSound, match=r"x\.wav: cannot be read \(Invalid argument\)"):
        read_audio(tmp_path / "x.wav")


def test_ten_hours_take_no_more_memory_than_a_minute(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(10), RATE, subtype="PCM_16")
    size = 2 * RATE * 36_000
    header = bytearray(path.read_bytes()[:44])
    header[4:8], header[40:44] = (36 + size).to_bytes(4, "little"), size.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(44 + size)  # a hole: no room on the disk
    program = f"""
import resource
from phoneme_lightning.corpora.sound import stream_audio
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
samples = sum(map(len, stream_audio({str(path)!r}, 60.0)))
print(samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    samples, kilobytes = map(int, done.stdout.split())
    assert samples == RATE * 36_000
    assert kilobytes < 60_000
