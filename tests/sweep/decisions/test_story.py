"""A confirm round that really trains, and asks for more seeds."""

import json

from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.records import read_records
from phoneme_lightning.sweep.round import Training
from phoneme_lightning.sweep.round_file import read_round

LR = "model.optimizer.init_args.lr"


def test_a_confirm_round_is_a_round_that_grows_until_its_verdict(place, plant):
    """The candidate's learning rate is as good as the baseline's, so it takes every look."""
    plant(
        place.rounds / "lr",
        {
            "p000-all-s0": {"values": {LR: 2.1e-3}, "state": "completed", "curve": (0.2, 0.9)},
            "p001-all-s0": {"values": {LR: 1e-4}, "state": "completed", "curve": (0.1, 0.1)},
        },
        training=Training(8, 4),
    )
    said = place.sweep("confirm", "lr", "--seeds", "2", "--parallel", "2")
    folder = RoundFolder(place.rounds / "lr-confirm")
    round = read_round(folder.round)
    records = read_records(folder, round.objective, 3)
    assert round.phase == "confirm"
    assert {(one.arm, one.seed) for one in records} == {
        (arm, seed) for arm in ("candidate", "baseline") for seed in round.seeds
    }
    assert {one.state for one in records} == {"completed"}
    told = json.loads((folder.path / "confirmation.json").read_text())
    assert told["look"] == len(round.seeds) // 2
    assert told["verdict"] == ("HOLD" if told["look"] == 3 else told["verdict"])
    assert len(told["differences"]) == len(round.seeds)
    assert told["utterances"]["low"] is not None
    assert told["why"] in said
    assert (told["look"] > 1) == ("MORE SEEDS" in said)
