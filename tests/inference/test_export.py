"""An exported folder: used without this package, loaded with it, described by its card."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from phoneme_lightning.batch import Batch
from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.corpora.audio import extract
from phoneme_lightning.data.module import prepare
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.export import parity
from phoneme_lightning.inference.export.folder import export
from phoneme_lightning.inference.export.weights import load_exported
from phoneme_lightning.inference.load import load_classifier
from phoneme_lightning.phones import PHONES

SETTINGS = {
    "model.backbone": "phoneme_lightning.models.RNN",
    "model.backbone.init_args.hidden_size": 8,
    "model.ctc_weight": 0.1,
    "model.warmup_steps": 2,
    "model.optimizer.init_args.lr": 0.03,
    "data.frames_per_batch": 200,
    "trainer.max_steps": 20,
    "trainer.val_check_interval": 10,
    "trainer.precision": "32-true",
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
    "run.folder": "run",
    "run.pictures": "false",
    "wandb.mode": "disabled",
}
CHECKPOINT = "run/checkpoints/best.ckpt"


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_store):
    """Give a folder with a fit, what decodes it, and its export."""
    place = tmp_path_factory.mktemp("place")
    make_store(place / "data" / "libriphone", utterances=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", ["phoneme-cli"])
        PhonemeCLI(["fit", *(f"--{name}={value}" for name, value in SETTINGS.items())])
        Path("run/checkpoints/phones.json").write_text("{}")
        export(CHECKPOINT)
    return place


@pytest.fixture(autouse=True)
def inside(place, monkeypatch):
    monkeypatch.chdir(place)


def test_the_lines_of_its_readme_hear_what_the_net_hears(place, tmp_path):
    draw = np.random.default_rng(0)
    sound = draw.normal(size=32_000) * np.repeat(draw.uniform(0.01, 0.2, size=20), 1_600)
    for file in (place / "run" / "export").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    soundfile.write(tmp_path / "speech.wav", sound, 16_000)
    [lines] = re.findall(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.S)
    assert lines.count("\n") == 10
    alone = "import sys; sys.modules.update(dict.fromkeys(['phoneme_lightning', 'torch']))\n"
    command = [sys.executable, "-I", "-c", alone + lines]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    samples, _ = soundfile.read(tmp_path / "speech.wav", dtype="float32")
    batch = Batch.collate([torch.from_numpy(extract(samples))], [None], [0])
    with torch.inference_mode():
        classes = load_classifier(CHECKPOINT)[0](prepare(batch, "temporal"))[0].argmax(-1)
    assert len(set(classes.tolist())) > 1
    assert done.stdout.split() == [PHONES[x] for x in classes.tolist()]


def test_its_weights_make_the_same_net_again(place):
    old, new = load_classifier(CHECKPOINT)[0], load_exported("run/export")
    batch = Batch.collate([torch.randn(30, 39), torch.randn(12, 39)], [None] * 2, [0, 1])
    with torch.inference_mode():
        assert torch.equal(old(batch)[0], new(batch)[0])
    assert old.further_heads
    assert not new.further_heads


def test_it_holds_all_that_inference_needs_and_says_what_it_is_worth(place):
    folder = Path("run/export")
    assert {file.name for file in folder.iterdir()} == {
        *("README.md", "MODEL_CARD.md"),
        *("model.json", "model.onnx", "model.safetensors", "phones.json"),
    }
    about = json.loads((folder / "model.json").read_text())
    assert tuple(about["phones"]) == PHONES
    assert about["features"]["mfcc"]["frame_opts"]["dither"] == 0
    assert about["parity"]["largest_difference"] <= parity.LARGEST_DIFFERENCE
    rows = (line.split(",") for line in Path("run/metrics.csv").read_text().splitlines())
    columns = next(rows)
    [row] = [row for row in rows if row[columns.index("step")] == str(about["step"]) and row[-1]]
    accuracy = float(row[columns.index("val/frame_accuracy")])
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"| frame accuracy | {accuracy:.4f} |" in card
    assert "* Corpus: synthetic, split by utterance." in card
    assert "Licence of the data: not known here" in card


def test_what_cannot_be_exported_is_refused_in_one_line(place, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="--out is run/export, which is there already: give an"):
        export(CHECKPOINT)
    monkeypatch.setattr(parity, "LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(InputError, match=r"differ .* and -1 is allowed: give --no-onnx"):
        export(CHECKPOINT, out=str(tmp_path / "differs"))
    assert not list(tmp_path.iterdir())
    checkpoint = torch.load(CHECKPOINT, weights_only=True)
    checkpoint["phoneme_lightning"]["config"]["data"]["deltas"] = "file"
    torch.save(checkpoint, tmp_path / "file.ckpt")
    with pytest.raises(InputError, match=r"fitted with data\.deltas 'file'"):
        export(str(tmp_path / "file.ckpt"))
    Path(tmp_path / "a file").touch()
    for folder in ("/proc/q", str(tmp_path / "a file" / "q")):
        said = rf"^--out is {folder}, which cannot be made \([A-Z][a-z ]+\): give another$"
        with pytest.raises(InputError, match=said):
            export(CHECKPOINT, out=folder)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(InputError, match=r"safetensors is not .* 'phoneme-lightning\[export\]'$"):
        export(CHECKPOINT, out=str(tmp_path / "without"))


def test_the_command_leaves_out_the_graph_where_that_is_asked(tmp_path):
    start = (
        "import sys; sys.modules['onnx'] = None\nfrom phoneme_lightning.entry import main; main()"
    )
    words = ["export", CHECKPOINT, "--out", str(tmp_path / "plain"), "--no-onnx"]
    done = subprocess.run([sys.executable, "-c", start, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"exported: {tmp_path / 'plain'}\n"), done.stderr
    names = {file.name for file in (tmp_path / "plain").iterdir()}
    assert "model.safetensors" in names
    assert "model.onnx" not in names
    assert "load_exported" in (tmp_path / "plain" / "README.md").read_text()
