"""What the figures of probes show, held against what was measured."""

import numpy as np
import pytest

from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.probes.batch import Size
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.report.document import lone_figure
from phoneme_lightning.sweep.report.figures.probe import (
    accuracies_info,
    batch_figure,
    batch_info,
    lines_figure,
    losses_info,
)
from phoneme_lightning.sweep.round import Budget, Goal, Round, Training


@pytest.fixture
def evidence():
    """Two trainings, of which the second has no number after step 30."""
    round = Round(Goal("?"), ["configs/rnn.yaml"], Budget(1), Training(50, 10), name="x")
    curves = {}
    for arm, last in (("1x", 50), ("10x", 30)):
        curves[arm] = [
            {"step": step, "train/loss": 4 / step, "train/frame_accuracy": step / 50}
            for step in range(1, last + 1)
        ]
    curves["10x"].append({"step": 31, "train/loss": float("nan")})
    trials = [TrialRecord(arm, arm, 0, 0, {}, "completed") for arm in curves]
    return Evidence(round, trials, curves)


def test_batch_sizes_stand_beside_a_machine_with_room_to_spare():
    sizes = [Size(1000, 1100.0, 0.1, 0.0, 1), Size(2000, 2200.0, 0.16, 0.0, 1)]
    info = batch_info(sizes, 2000, "--most")
    assert info.frames == (1100, 2200)
    assert info.frames_per_second == pytest.approx((11000, 13750))
    assert info.healthy == pytest.approx((11000, 22000))
    assert (info.knee, info.advised) == (2200, 2000)
    figure = batch_figure(info)
    assert [list(trace.y) for trace in figure.data[1:]] == [
        list(info.frames_per_second),
        [0.1, 0.16],
    ]


def test_losses_show_where_they_break(evidence):
    info = losses_info(evidence, {"1x": None, "10x": 30})
    assert [line.arm for line in info.lines] == ["1x", "10x"]
    assert info.lines[1].steps[-1] == 30
    assert info.frame[0] < 4 / 50
    assert info.frame[1] > 4
    crosses = [trace for trace in lines_figure(info).data if trace.mode == "markers"]
    assert [(list(one.x), list(one.y)) for one in crosses] == [([30], [pytest.approx(4 / 30)])]
    assert crosses[0].marker.symbol == "x-thin"


def test_accuracies_are_means_over_an_epoch(evidence):
    info = accuracies_info(evidence, 5, 0.9, {"1x": 47, "10x": None})
    assert info.goal == 0.9
    assert info.lines[0].steps[0] == 5
    assert info.lines[0].values[0] == pytest.approx(np.mean([1, 2, 3, 4, 5]) / 50)
    dots = [trace for trace in lines_figure(info).data if trace.mode == "markers"]
    assert [list(one.y) for one in dots] == [[pytest.approx(0.9)]]


def test_the_page_is_whole(evidence):
    page = lone_figure(
        "x", "A < b.", lines_figure(losses_info(evidence, {"1x": 3, "10x": 30})), "See."
    )
    assert "A &lt; b." in page
    assert page.count("Plotly.newPlot") >= 1
    assert "<script src" not in page
