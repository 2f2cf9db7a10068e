"""Probes that are rounds, run for real on a tiny corpus."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

CONFIG = ("configs/tiny.yaml", "--set", "wandb.mode=disabled", "--set", "data.augment.time_masks=0")


def finding_of(folder):
    return json.loads((folder / "finding.json").read_text())


def test_lr_is_stopped_goes_on_and_ends_with_a_verdict(place):
    words = ("probe", "lr", *CONFIG, "--lr", "0.02", "--steps", "40", "--parallel", "2")
    folder = place.rounds / "tiny-probe-lr"
    process = place.start(*words)
    deadline = time.monotonic() + 60
    while not list(folder.glob("trials/*/attempt-1/metrics.csv")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "the probe goes on with the same command" in said
    assert not (folder / "finding.json").exists()

    said = place.sweep(*words)
    finding = finding_of(folder)
    assert finding["rule"] == "probe_lr"
    assert list(finding["numbers"]["trainings"]) == ["1x", "2x", "5x", "10x"]
    assert finding["numbers"]["trainings"]["1x"]["kind"] == "stable"
    assert finding["numbers"]["rate"] == 0.02
    assert finding["sentence"] in said
    assert "plotly" in (folder / "figure.html").read_text()
    lines = json.loads((folder / "figure.json").read_text())["lines"]
    assert (lines[0]["arm"], len(lines[0]["steps"])) == ("1x", 40)
    # No glance at the test split: a probe's weights are of no use.
    assert "public" not in said
    assert not (folder / "looks.jsonl").exists()


def test_warmup_climbs_its_ladder_and_its_advice_is_a_config(place):
    said = place.sweep("probe", "warmup", *CONFIG, "--unstable", "0.003", "--steps", "200")
    folder = place.rounds / "tiny-probe-warmup"
    finding = finding_of(folder)
    assert list(finding["numbers"]["trainings"]) == ["10", "20"]
    assert finding["numbers"]["rate"] == 0.03
    assert finding["numbers"]["trainings"]["20"]["kind"] == "stable"
    assert finding["numbers"]["warmup_steps"] in (10, 20)
    assert f"warmup_steps: {finding['numbers']['warmup_steps']}" in said

    program = Path(sys.executable).with_name("phoneme-cli")
    configs = ("--config=configs/tiny.yaml", f"--config={folder / 'advice.yaml'}")
    done = subprocess.run(
        [program, "fit", *configs, "--print_config"], cwd=place.path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"max_steps: {finding['numbers']['steps']}" in done.stdout


def test_steps_ends_at_a_perfect_fit_of_a_part(place):
    words = (*CONFIG, "--utterances", "4", "--steps", "200", "--fit", "0.9")
    place.sweep("probe", "steps", *words, "--rates", "0.003", "0.01", "0.03")
    folder = place.rounds / "tiny-probe-steps"
    finding = finding_of(folder)
    fits = {rate: one["step"] for rate, one in finding["numbers"]["trainings"].items()}
    fastest = min(step for step in fits.values() if step)
    assert finding["numbers"]["steps"] == fastest < 200
    assert "4 utterances of the training set" in finding["sentence"]
    rate = f"{finding['numbers']['rate']:g}"
    outcome = json.loads((folder / f"trials/p000-{rate}-s0/attempt-1/outcome.json").read_text())
    assert (outcome["state"], outcome["step"]) == ("completed", fastest)
    settings = (folder / f"trials/p000-{rate}-s0/attempt-1/config.yaml").read_text()
    for off in ("dropout: 0.0", "weight_decay: 0.0", "time_masks: 0", "schedule: constant"):
        assert off in settings
