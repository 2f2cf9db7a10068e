"""What a round shows while it runs."""

import pytest
from rich.console import Console

from phoneme_lightning.sweep.records import read_records
from phoneme_lightning.sweep.round_file import read_round
from phoneme_lightning.sweep.screen import Screen


def test_a_log_that_takes_nothing_more_does_not_end_the_round(plant, tmp_path):
    folder = plant(tmp_path / "lr", {"p0": {"state": "failed", "cause": "x", "values": {}}})
    round = read_round(folder.round)
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115  # closing it would complain, too
    screen = Screen(folder, round)
    screen.console = Console(file=full)
    screen.say("unheard")
    screen.ended(*read_records(folder, round.objective, 3))
    with pytest.raises(OSError, match="No space left"):
        full.close()
