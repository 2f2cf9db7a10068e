"""How a fit on two ranks ends when one of them fails, or somebody ends it: all end, one tells."""

import os
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from phoneme_lightning.training.outcome import read_outcome

pytestmark = pytest.mark.usefixtures("alone")

TWO = {"trainer.accelerator": "cpu", "trainer.devices": 2}


def test_a_bug_on_another_rank_is_told_once_and_kept(words, forks, tmp_path, mishap):
    log = tmp_path / "said"
    assert forks.run(words(**TWO, **{"trainer.callbacks": mishap("Crash", rank=1)}), log) == 2
    outcome = read_outcome(tmp_path / "run")
    assert (outcome.state, outcome.step) == ("failed", 3)
    assert outcome.message == "ZeroDivisionError: division by zero"
    line = "error: division by zero (ZeroDivisionError; --debug shows where)"
    assert log.read_text().splitlines()[-1] == line
    assert log.read_text().count("error:") == 1


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(happened):
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("who", "number"),
    [("the starter", 15), ("rank 0", 15), ("rank 1", 15), ("the starter", 9), ("all", 2)],
)
def test_a_signal_to_any_process_ends_all(words, forks, tmp_path, mishap, who, number):
    reached, log = tmp_path / "reached", tmp_path / "said"
    wait = mishap("Wait", moment="training", reached=str(reached))
    endless = {"trainer.max_steps": 10_000, "trainer.callbacks": wait}
    starter = forks.start(words(**TWO, **endless), log)
    wait_until(reached.exists)
    ranks = children(starter)
    assert len(ranks) == 2
    if who == "all":  # as a terminal does at Ctrl-C
        os.killpg(starter, number)
    else:
        os.kill({"the starter": starter, "rank 0": ranks[0], "rank 1": ranks[1]}[who], number)
    try:
        wait_until(lambda: not Path(f"/proc/{starter}").exists())
    finally:
        with suppress(ProcessLookupError):
            os.kill(starter, signal.SIGKILL)
    assert forks.wait() == (-number if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not any(Path(f"/proc/{rank}").exists() for rank in ranks))
    said = log.read_text()
    assert "Traceback" not in said
    if number == signal.SIGTERM:
        assert said.splitlines()[-1] == "ended by SIGTERM"
        assert said.count("SIGTERM") == 1
    elif number == signal.SIGINT:
        assert said.splitlines()[-1] == "interrupted"
        assert "error" not in said
    assert read_outcome(tmp_path / "run") is None


def test_a_disk_that_is_full_for_the_first_rank_ends_all(words, forks, tmp_path, mishap):
    reached, log = tmp_path / "reached", tmp_path / "said"
    wait = mishap("Wait", moment="training", reached=str(reached))
    starter = forks.start(words(**TWO, **{"trainer.callbacks": wait}), log)
    wait_until(reached.exists)
    first, second = children(starter)
    resource.prlimit(first, resource.RLIMIT_FSIZE, (20_000, 20_000))  # less than a checkpoint
    assert forks.wait() == 2
    line = "error: [Errno 27] File too large (OSError; --debug shows where)"
    assert log.read_text().splitlines()[-1] == line
    assert log.read_text().count("error:") == 1
    assert not Path(f"/proc/{second}").exists()
    assert read_outcome(tmp_path / "run") is None
