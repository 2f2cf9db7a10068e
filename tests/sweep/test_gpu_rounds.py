"""A round on a GPU; skipped without one."""

import json

import pytest


@pytest.mark.gpu
@pytest.mark.parametrize("executor", ["fork", "subprocess"])
def test_a_round_runs_on_the_gpu(place, executor):
    config = place.path / "configs/tiny.yaml"
    config.write_text(config.read_text().replace("accelerator: cpu", "accelerator: gpu"))
    place.sweep("run", place.write("tiny", executor=f"{{kind: {executor}}}"))
    attempts = list((place.rounds / "tiny").glob("trials/*/attempt-*"))
    assert len(attempts) == 6
    for attempt in attempts:
        assert json.loads((attempt / "outcome.json").read_text())["state"] == "completed"
        device = json.loads((attempt / "environment.json").read_text())["device"]
        assert "NVIDIA" in device
