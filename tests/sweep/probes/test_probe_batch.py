"""Batch sizes measured by real processes, one of which runs out of a real limit of memory."""

import json
import resource
import shutil
from pathlib import Path

import pytest

CONFIG = ("configs/tiny.yaml", "--set", "data.frames_per_batch=400", "--seconds", "0.2")
HOARD = "trainer.callbacks=[{class_path: plants.Hoard, init_args: {bytes_a_frame: 20000000}}]"
LIMIT = 4 * 2**30
"""20 MB a frame: 100 frames fit below it, 200 and their neighbours do not."""


def test_sizes_are_measured_until_memory_ends(place):
    shutil.copy(Path(__file__).parents[1] / "plants.py", place.path)

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))

    process = place.start("probe", "batch", *CONFIG, "--set", HOARD, preexec_fn=limit)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    folder = place.rounds / "tiny-probe-batch"
    finding = json.loads((folder / "finding.json").read_text())
    measured = [size["frames_per_batch"] for size in finding["numbers"]["sizes"]]
    assert measured[0] == 50
    assert measured[-1] < 400
    assert finding["numbers"]["ended"] == f"{2 * measured[-1]:,} were out of memory"
    assert f"{2 * measured[-1]:,} frames a batch: out of memory" in said
    first = finding["numbers"]["sizes"][0]
    assert first["frames_per_second"] == pytest.approx(first["frames"] / first["seconds_a_step"])
    assert 0 <= first["wait_share"] < 1
    assert first["peak_bytes"] > 100 * 2**20
    assert finding["sentence"] in said
    assert (folder / "advice.yaml").read_text() in said.replace("\n    ", "\n")


def test_what_fails_otherwise_is_said_and_no_size(place):
    bug = "trainer.callbacks=[{class_path: plants.Crash, init_args: {step: 2, always: true}}]"
    shutil.copy(Path(__file__).parents[1] / "plants.py", place.path)
    said = place.sweep("probe", "batch", *CONFIG, "--set", bug, code=2)
    assert "50 frames a batch could not be measured: RuntimeError: a planted bug" in said
    assert not (place.rounds / "tiny-probe-batch/finding.json").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nothing.yaml"], "no round 'nothing.yaml'"),
        (["configs/tiny.yaml", "--set", "lr"], "--set is 'lr': write KEY=VALUE"),
        (["configs/tiny.yaml", "--set", "data.frames_per_batch=many"], "is 'many': say --set"),
        (["configs/tiny.yaml", "--most", "3"], "give a larger --most"),
        (["configs/tiny.yaml", "--threads", "0"], "--threads is 0: give at least 1"),
    ],
)
def test_mistakes_are_one_line(place, words, complaint):
    said = place.sweep("probe", "batch", *words, code=2)
    assert complaint in said
    assert len(said.splitlines()) == 1
