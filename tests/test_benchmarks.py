"""The benchmarks run, and what is kept of them says nothing of the machine but its processor."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KEPT = sorted(file.stem for file in (BENCHMARKS / "results").glob("*.json"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_preparing_is_measured():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "prepare.py"), "--minutes", "0.5"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    *_, row, last = done.stdout.splitlines()
    assert row.startswith("spoken ")
    report = json.loads(last)["spoken"]
    assert report["frames"] >= 0.5 * 6000
    assert report["seconds"] > 0
    assert 1e7 < report["peak_rss_bytes"] < 1e9
    assert 0 < report["open_ms"] < 1000


def quick(program: str, *arguments: str, threads="--threads=1") -> tuple[list[str], dict]:
    """Give the table and the result of a trial run on one thread."""
    arguments = [word for word in ("--quick", threads, *arguments) if word]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / program), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    return table, json.loads(last)


@pytest.mark.skipif(sys.platform != "linux", reason="holds itself to one core")
def test_preparing_recordings_is_measured():
    _, report = quick("recordings.py", threads="")
    [row] = report["rows"]
    assert row["features"] > row["prepare"] > row["by the clock"] > 0
    assert row["same store"] is True
    assert 10 < row["shard MB"] < 1000


def test_training_is_measured_beside_plain_nets():
    _, report = quick("training.py", "--device=cpu", "--nets", "RNN")
    real, equal = report["rows"]
    assert (real["lengths"], equal["lengths"]) == ("real", "equal")
    assert real["packed"] is None
    assert real["ours/flushed"] == pytest.approx(real["ours"] / real["flushed"])
    assert equal["ours/padded"] == pytest.approx(equal["ours"] / equal["padded"])
    assert equal["ours/packed"] == pytest.approx(equal["ours"] / equal["packed"])
    assert report["threads"] == 1


def test_inference_is_measured_beside_plain_nets():
    _, report = quick("inference.py", "--device=cpu", "--nets", "Transformer")
    one, many = report["rows"]
    assert one["auto ms"] == pytest.approx(1000 * 617 / one["auto"])
    assert many["auto ms"] is None
    assert many["auto/theirs"] == pytest.approx(many["auto"] / many["theirs"])


def test_limits_count_what_the_nets_do():
    table, report = quick("limits.py", "--device=cpu", "--profile", "--nets", "RNN", "Transformer")
    rows = {row["net"]: row for row in report["rows"]}
    products = 2 * 4 * 2 * 512 / 1e6  # of a layer's two directions, for each of its inputs
    assert rows["RNN"]["MFLOP recurrent inputs"] == pytest.approx(products * (39 + 1024))
    assert rows["RNN"]["MFLOP recurrent states"] == pytest.approx(products * 2 * 512)
    assert rows["Transformer"]["MFLOP attention"] > 0
    for row in rows.values():
        parts = [value for name, value in row.items() if name.startswith("MFLOP")]
        assert sum(parts) == pytest.approx(2 * row["MFLOP total"])
        # What an optimizer and a net of this size move at least: each parameter, several times.
        assert row["kB moved"] > 1000
        assert sum(row["time"].values()) == pytest.approx(1.0)
    assert max(rows["RNN"]["time"], key=rows["RNN"]["time"].get) == "recurrent"
    assert any("GFLOP/s" in line for line in table)


def test_fast_paths_agree_with_plain_fp32():
    _, report = quick("agreement.py", "--device=cpu", "--nets", "RNN")
    assert [row["mode"] for row in report["differences"]] == ["evaluation", "training"]
    assert all(row["logits"] < 0.1 for row in report["differences"])
    if report["auto"] == "bf16-mixed":
        assert all(row["logits"] > 1e-4 for row in report["differences"])
    for scores in report["fits"]["accuracies"].values():
        assert len(scores) == 1
        assert 0.0 <= scores[0] <= 1.0


def test_a_speed_run_tells_the_seconds_to_an_accuracy():
    _, report = quick("speed_run.py", "--device=cpu", "--plain")
    for side in ("ours", "plain"):
        assert 0 < report[side]["reached"]["0.00"]["seconds"] <= report[side]["seconds"]
    (row,) = report["rows"]
    assert row["ratio"] == pytest.approx(row["plain s"] / row["ours s"])


def test_start_up_is_measured_and_what_is_loaded():
    _, report = quick("startup.py", threads=None)
    assert report["phoneme-cli --help"]["loads"] == report["phoneme-sweep status"]["loads"] == []
    fit = report["phoneme-cli fit, one step"]
    assert {"torch", "lightning"} <= set(fit["loads"])
    assert 0 < fit["first_batch_seconds"]["best"] < fit["end_seconds"]["best"]


def test_ideas_are_set_beside_what_they_replace():
    _, report = quick("ideas.py")
    for row in report["ideas"]:
        assert row["gain"] == pytest.approx(row["before ms"] / row["after ms"])
    assert all(row["two CNNs at once"] > 0 for row in report["settings"])


def test_transcription_is_measured_through_a_file_a_pipe_and_short_recordings():
    _, report = quick("transcribe.py", "--through", "file", "pipe", "short", threads="--cores=1")
    assert [row["through"] for row in report["rows"]] == ["file", "pipe", "short"]
    for row in report["rows"]:
        assert row["minutes"] == pytest.approx(1 / 60, abs=1e-3)
        assert row["times real time"] > 0
        assert row["phones"] > 0


def test_an_lstm_by_hand_is_an_lstm(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    two = importlib.import_module("lstm_by_hand").TwoLSTMs
    layers = [torch.nn.LSTM(16, 32).bfloat16() for _ in range(2)]
    inputs = torch.randn(2, 9, 3, 16).bfloat16().requires_grad_()
    expected = torch.stack([layer(x)[0] for layer, x in zip(layers, inputs, strict=True)], dim=1)
    into, over = (torch.stack([layer.all_weights[0][k] for layer in layers]) for k in range(2))
    bias = torch.stack([sum(layer.all_weights[0][2:]) for layer in layers])
    order = torch.arange(128).view(4, 32)[[0, 1, 3, 2]].flatten()  # i, f, o, g
    got = two.apply(inputs, *(x[:, order] for x in (into, over, bias)))
    weight = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad((weight * x).sum(), [inputs, *layers[1].parameters()])
        for x in (expected, got)
    ]
    for mine, its in zip((got, *gradients[1]), (expected, *gradients[0]), strict=True):
        assert (mine - its).float().norm() < 0.02 * its.float().norm()


def test_the_pages_tell_what_is_kept(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("tell")
    pages = [page.read_text(encoding="utf-8") for page in module.PAGES]
    assert sum(page.count("<!-- end -->") for page in pages) >= 10
    assert [module.tell(page) for page in pages] == pages


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_can_be_repeated(name):
    text = (BENCHMARKS / "results" / f"{name}.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert record["command"].startswith(f"python benchmarks/{name}.py")
    assert {"versions", "cpu", "cores", "result"} <= record.keys()
    assert not re.search(r'"/|[ =]/|~|:\\', text)  # no path of the machine
    assert f"`results/{name}.json`" in (BENCHMARKS / "README.md").read_text(encoding="utf-8")
