"""Recordings in, phones in time out: by a net that knows three noises, and by the command."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.corpora.alignment import read_alignment
from phoneme_lightning.corpora.audio import extract, frame_centres
from phoneme_lightning.corpora.splits import draw_splits
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference import hearing
from phoneme_lightning.inference.decoding import Decoder, learn_phones
from phoneme_lightning.inference.hearing import chunks
from phoneme_lightning.inference.saved_decoder import SavedDecoder
from phoneme_lightning.inference.transcribe import transcribe
from phoneme_lightning.inference.transcriber import Begin, Transcriber, read_recording
from phoneme_lightning.phones import PHONES
from phoneme_lightning.training.record import read_record

KNOWN = ("SIL", "S", "AA")
SETTINGS = {
    "model.backbone": "phoneme_lightning.models.RNN",
    "model.backbone.init_args.hidden_size": 16,
    "model.warmup_steps": 2,
    "model.optimizer.init_args.lr": 0.02,
    "data.corpus": "noises",
    "data.frames_per_batch": 2000,
    "trainer.max_steps": 60,
    "trainer.val_check_interval": 30,
    "trainer.precision": "32-true",
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
    "run.pictures": "false",
    "wandb.mode": "disabled",
}


def speak(draw, count):
    """Give sound, (samples,), and its runs: the sample at which each begins, its phone."""
    parts, begins, phones, before = [], [], [], None
    for _ in range(count):
        phone = str(draw.choice([name for name in KNOWN if name != before]))
        samples = int(draw.integers(2_000, 5_000))
        noise = draw.normal(size=samples)
        tone = np.sin(np.arange(samples) * 0.3)
        sound = {"SIL": 0.002 * noise, "S": 0.2 * np.diff(noise, prepend=0), "AA": 0.3 * tone}
        begins.append(sum(map(len, parts)))
        parts.append(sound[phone] + 0.002 * noise)
        phones.append(phone)
        before = phone
    return np.concatenate(parts).astype(np.float32), begins, phones


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Give a folder with a store of noises, sound/long.wav, and what is said in it."""
    place, draw = tmp_path_factory.mktemp("place"), np.random.default_rng(0)
    names = [f"{speaker}-1-{number}" for speaker in range(4) for number in range(5)]
    with StoreWriter(place / "data" / "noises", coefficients=13) as writer:
        for name in names:
            sound, begins, phones = speak(draw, 12)
            features = extract(sound)
            runs = np.searchsorted(begins, frame_centres(len(features)), side="right") - 1
            labels = np.array([PHONES.index(phones[run]) for run in runs])
            writer.add(name, name.split("-")[0], features, labels)
        speakers, is_test = [name.split("-")[0] for name in names], np.arange(20) >= 16
        splits = draw_splits(speakers, is_test, fraction=0.25)
        writer.finish(corpus="noises", splits=splits, settings={}, counts={})
    (place / "sound").mkdir()
    sound, *runs = speak(draw, 60)
    soundfile.write(place / "sound" / "long.wav", sound, 16_000)
    return place, runs


@pytest.fixture(scope="module")
def nets(place):
    """Give two checkpoints, in folders of their own."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place[0])
        patch.setattr(sys, "argv", ["phoneme-cli"])
        for seed in range(2):
            words = SETTINGS | {"run.folder": place[0] / f"runs/{seed}", "seed_everything": seed}
            cli = PhonemeCLI(["fit", *(f"--{name}={value}" for name, value in words.items())])
            found.append(str(cli.folder / "checkpoints" / "best.ckpt"))
    return found


@pytest.fixture
def inside(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return place[0] / "sound" / "long.wav"


def hear(nets, sound, *, phones=None, block=7_000):
    blocks = (sound[begin : begin + block] for begin in range(0, len(sound), block))
    [transcript] = Transcriber.open(nets, phones).hear(
        [read_recording("x", blocks, begin=Begin(1))]
    )
    return transcript


def test_what_is_said_is_found_where_it_is_said(place, nets):
    begins, phones = place[1]
    sound, _ = soundfile.read(place[0] / "sound" / "long.wav", dtype="float32")
    found = list(hear(nets[:1], sound))
    # A frame or two between two noises may be taken for a third.
    found = [segment for segment in found if segment.end - segment.begin > 0.04]
    assert [segment.phone for segment in found] == phones
    apart = [abs(x.begin - begin / 16_000) for x, begin in zip(found, begins, strict=True)]
    assert max(apart) < 0.03


def test_chunks_hear_what_the_whole_hears(place, nets, monkeypatch):
    sound, _ = soundfile.read(place[0] / "sound" / "long.wav", dtype="float32")
    whole = hear(nets, sound)
    monkeypatch.setattr(hearing, "CHUNK_FRAMES", 70)
    monkeypatch.setattr(hearing, "CONTEXT_FRAMES", 60)
    monkeypatch.setattr(hearing, "FRAMES_PER_BATCH", 600)
    parts = hear(nets, sound)
    assert len(chunks(len(whole.classes))) > 9
    assert len(parts.classes) == len(whole.classes)
    assert (parts.classes == whole.classes).mean() > 0.995
    assert np.abs(parts.probabilities - whole.probabilities).mean() < 0.005


@pytest.mark.parametrize("frames", [1, 2_599, 2_600, 2_601, 4_000, 100_001])
def test_chunks_take_every_frame_once_with_three_seconds_around_it(frames):
    taken = [range(chunk.first, chunk.after) for chunk in chunks(frames)]
    assert [frame for part in taken for frame in part] == list(range(frames))
    for chunk in chunks(frames):
        assert chunk.begin == max(0, chunk.first - 300) or chunk.begin == 0
        assert chunk.end == min(frames, chunk.after + 300)


def test_what_decodes_stands_beside_the_net_and_leaves_no_short_run(place, nets):
    store, draw = FrameStore(place[0] / "data" / "noises"), np.random.default_rng(0)
    sound = speak(draw, 20)[0] + 0.05 * draw.normal(size=1).astype(np.float32)
    assert not hear(nets, sound).is_decoded
    model = learn_phones(store, store.split("utterance", "train"))
    beside = Path(nets[0]).parent
    try:
        SavedDecoder(store.phones, model, Decoder(1.0, 0.0)).write(beside)
        decoded = hear(nets, sound)
    finally:
        (beside / "phones.json").unlink()
    assert decoded.is_decoded
    assert all(model.shortest[PHONES.index(name)] > 3 for name in KNOWN)
    for segment in list(decoded)[1:]:
        shortest = model.shortest[PHONES.index(segment.phone)]
        assert segment.end - segment.begin > 0.010 * shortest - 1e-9


def test_a_decoder_that_was_chosen_for_other_weights_is_told(place, nets, inside, capsys):
    store = FrameStore(place[0] / "data" / "noises")
    model = learn_phones(store, store.split("utterance", "train"))
    own = read_record(nets[0])["step"]
    words, said = [nets[0], str(inside)], "was chosen for weights of step"
    for steps in ((), (own,), (own + 1_000,)):
        SavedDecoder(store.phones, model, Decoder(1.0, 0.0), steps).write(Path())
        assert transcribe(words, phones="phones.json", overwrite=True) == 0
        told = capsys.readouterr().err
        if steps in ((), (own,)):
            assert said not in told
    assert f"{said} {own + 1_000:,}, and these are of step {own}:" in told
    # What was chosen for one net alone was not chosen for two.
    SavedDecoder(store.phones, model, Decoder(1.0, 0.0), (own,)).write(Path())
    assert transcribe([*nets, str(inside)], phones="phones.json", overwrite=True) == 0
    assert f"{said} {own}, and these are of step {own}, " in capsys.readouterr().err


def test_short_recordings_are_heard_side_by_side_as_each_alone(nets, monkeypatch):
    draw = np.random.default_rng(5)
    sounds = {str(number): speak(draw, number)[0] for number in (1, 2, 12, 3, 9)}
    read = [read_recording(name, [x], begin=Begin(0)) for name, x in sounds.items()]
    alone = [next(Transcriber.open(nets).hear([x])) for x in read]
    heard, hear_batch = [], hearing.Net.log_probabilities
    monkeypatch.setattr(hearing, "CHUNK_FRAMES", 150)
    monkeypatch.setattr(hearing, "CONTEXT_FRAMES", 80)
    monkeypatch.setattr(hearing, "FRAMES_PER_BATCH", 900)
    monkeypatch.setattr(
        hearing.Net,
        "log_probabilities",
        lambda net, batch: heard.append(batch.features.shape) or hear_batch(net, batch),
    )
    together = list(Transcriber.open(nets[:1]).hear(read))
    assert max(rows * frames for rows, frames, _ in heard) <= 900
    assert len(heard) < sum(len(chunks(len(x.cepstra))) for x in read) / 2
    together = list(Transcriber.open(nets).hear(read))
    assert [x.name for x in together] == list(sounds)
    for one, other in zip(together, alone, strict=True):
        assert one.seconds == other.seconds
        assert len(one.classes) == len(other.classes)
        assert (one.classes == other.classes).mean() > 0.995


def test_two_nets_are_averaged(place, nets):
    sound = speak(np.random.default_rng(3), 8)[0]
    begins = [Begin(100) for _ in range(3)]
    for begin, which in zip(begins, (nets[:1], nets[1:], nets), strict=True):
        list(Transcriber.open(which).hear([read_recording("x", [sound], begin=begin)]))
    one, two, both = (begin.probabilities for begin in begins)
    mean = np.sqrt(one * two)
    assert np.allclose(both, mean / mean.sum(axis=1, keepdims=True), atol=1e-4)


def run(*words, stdin=b""):
    """Run phoneme-cli in a process of its own."""
    program = "from phoneme_lightning.entry import main; main()"
    return subprocess.run([sys.executable, "-c", program, *words], input=stdin, capture_output=True)


def test_the_command_writes_every_format_and_leaves_out_what_is_bad(nets, inside, tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    good, rate = soundfile.read(inside)
    soundfile.write(folder / "deep" / "a b.FLAC", good[:40_000], rate, format="FLAC")
    soundfile.write(folder / "stereo.wav", np.stack([good, good], 1)[:8_000], 8_000)
    soundfile.write(folder / "short.wav", good[:200], rate)
    (folder / "text.wav").write_text("no sound")
    (folder / "notes.txt").write_text("no recording")
    formats = ["textgrid", "ctm", "json", "csv"]
    wanted = [f"--format={name}" for name in formats]
    done = run("transcribe", *wanted, *nets, str(folder), "--plot", "--out=o")
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b""), said
    assert re.search(r"left out: \S+short\.wav: shorter than a frame \(12\.5 of 25 ms\)", said)
    assert re.search(r"left out: \S+text\.wav: not audio", said)
    assert "stereo.wav: 2 channels: averaged" in said
    assert "2 recordings" in said
    assert "2 left out" in said
    assert "notes" not in said
    found = {file.relative_to("o").as_posix() for file in Path("o").rglob("*.*")}
    endings = ("TextGrid", "ctm", "json", "csv", "png")
    assert found == {f"{name}.{ending}" for name in ("deep/a b", "stereo") for ending in endings}

    with Image.open("o/deep/a b.png") as picture:
        assert picture.mode == "P"  # a palette: a third of the bytes
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)

    whole = json.loads(Path("o/deep/a b.json").read_text())
    assert (whole["seconds"], whole["checkpoints"], whole["decoded"]) == (2.5, nets, False)
    rows = [(x["begin"], x["end"], x["phone"]) for x in whole["segments"]]
    assert len(rows) > 5
    for ending in ("TextGrid", "ctm"):
        read = read_alignment(Path(f"o/deep/a b.{ending}"))
        assert [x.symbol for x in read] == [phone for *_, phone in rows]
        times = [time for x in read for time in x[:2]]
        assert times == pytest.approx([time for row in rows for time in row[:2]], abs=1e-4)
    table = list(csv.DictReader(io.StringIO(Path("o/deep/a b.csv").read_text())))
    assert [x["phone"] for x in table] == [phone for *_, phone in rows]
    sure = [float(x["confidence"]) for x in table]
    assert sure == [x["confidence"] for x in whole["segments"]]
    # A transcript that is there stays as it is.
    Path("o/stereo.json").write_text("mine")
    again = run("transcribe", nets[0], str(folder / "stereo.wav"), "--out=o", "--format=json")
    assert again.returncode == 0, again.stderr.decode()
    assert b"there already: o/stereo.json; --overwrite writes anew" in again.stderr
    assert Path("o/stereo.json").read_text() == "mine"


def test_standard_input_goes_to_standard_output(nets, inside):
    sound = inside.read_bytes()
    # As ffmpeg and sox write to a pipe: they cannot know the length yet.
    size = sound.index(b"data") + 4
    unknown = b"\xff" * 4
    sound = sound[:4] + unknown + sound[8:size] + unknown + sound[size + 4 :]
    one = run("transcribe", "--format=csv", nets[0], "-", stdin=sound)
    assert one.returncode == 0, one.stderr.decode()
    assert transcribe([nets[0], str(inside)], formats=["csv"]) == 0
    assert one.stdout.decode() == Path("transcripts/long.csv").read_text()


def test_of_standard_input_is_said_what_is_said_of_files(nets, inside):
    sound, rate = soundfile.read(inside, frames=20_000)
    soundfile.write("stereo.wav", np.stack([sound, sound], 1), rate // 2)
    done = run("transcribe", nets[0], "-", stdin=Path("stereo.wav").read_bytes())
    assert done.returncode == 0
    assert b"standard input: 2 channels: averaged\n" in done.stderr
    assert b"standard input: 8000 samples a second" in done.stderr
    done = run("transcribe", nets[0], "-", stdin=b"no sound")
    assert done.returncode == 1
    assert b"left out: standard input: not audio" in done.stderr


def test_what_is_bad_is_named_and_counted_and_the_rest_is_heard(nets, inside, capsys):
    soundfile.write("long.wav", np.zeros(8_000), 16_000)
    assert transcribe([nets[0], "nowhere.wav", str(inside), "long.wav", str(inside)]) == 1
    said = capsys.readouterr().err
    assert "left out: nowhere.wav is not there" in said
    assert f"left out: long.wav would become long as {inside} does: give them apart" in said
    assert "1 recording, " in said
    assert said.rstrip().endswith("; 2 left out")
    assert Path("transcripts/long.TextGrid").exists()


def test_an_interrupt_loses_what_is_heard_together_and_the_rest_goes_on(
    nets, inside, monkeypatch, capsys
):
    sound, rate = soundfile.read(inside)
    Path("in/a").mkdir(parents=True)
    for number in range(12):
        soundfile.write(f"in/a/{number:02}.wav", sound[: 16_000 + 100 * number], rate)
    words = [nets[0], "in"]
    batches, hear_batch = [], hearing.Net.log_probabilities

    def hear_two(net, batch):
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(batch)
        return hear_batch(net, batch)

    with monkeypatch.context() as patch:
        patch.setattr("phoneme_lightning.inference.transcribe.FRAMES_TOGETHER", 350)
        patch.setattr(hearing.Net, "log_probabilities", hear_two)
        with pytest.raises(KeyboardInterrupt):
            transcribe(words, formats=["ctm"])
    found = sorted(file.name for file in Path("transcripts/a").iterdir())
    assert found == [f"{number:02}.ctm" for number in range(8)]
    # Of what is there, only what is missing is written.
    before = Path("transcripts/a/00.ctm").stat().st_mtime_ns
    capsys.readouterr()
    assert transcribe([nets[0], "in/a/00.wav"], formats=["ctm", "csv"], out="transcripts/a") == 0
    assert Path("transcripts/a/00.csv").exists()
    assert Path("transcripts/a/00.ctm").stat().st_mtime_ns == before
    assert transcribe(words, formats=["ctm"]) == 0
    assert capsys.readouterr().err.rstrip().endswith("; 8 there already")
    assert len(list(Path("transcripts/a").glob("*.ctm"))) == 12
    assert Path("transcripts/a/09.ctm").read_text().startswith("a/09 1 0.0000 ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["SOUND"], "transcribe is given no net: give a .ckpt"),
        (["NET"], "transcribe is given no recordings: give files, a folder, or -"),
        (["NET", "nowhere.wav"], "nowhere.wav is not there"),
        (["NET", "SOUND", "-"], "- (standard input) goes by itself"),
        (["NET", "."], ". holds no recording"),
        (["EXPORT", "SOUND"], "export is an exported net: give the .ckpt that it was made from"),
        (["nowhere.ckpt", "SOUND"], "ckpt_path is 'nowhere.ckpt'"),
    ],
)
def test_what_is_missing_is_told_by_name(words, said, nets, inside):
    meant = {"NET": nets[0], "SOUND": str(inside), "EXPORT": "export"}
    if "EXPORT" in words:
        Path("export").mkdir()
        Path("export/model.safetensors").touch()
    with pytest.raises(InputError, match=re.escape(said)):
        transcribe([meant.get(word, word) for word in words])


def test_standard_output_takes_one_format_and_no_picture(nets):
    for wanted in ({"formats": ["csv", "json"]}, {"plot": True}):
        with pytest.raises(InputError, match="give --out FOLDER"):
            transcribe([nets[0], "-"], **wanted)


def test_a_decoder_of_other_phones_is_refused(nets, tmp_path, tiny_store):
    model = learn_phones(tiny_store, tiny_store.split("utterance", "train"))
    other = tuple(reversed(tiny_store.phones))
    SavedDecoder(other, model, Decoder(1.0, 0.0)).write(tmp_path)
    with pytest.raises(InputError, match="is of other phones than"):
        Transcriber.open(nets[:1], str(tmp_path / "phones.json"))
