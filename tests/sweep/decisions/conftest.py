"""Rounds as they look after they have run, for decisions that need no training."""

import pytest

from phoneme_lightning.sweep.decisions.confirm_round import ARMS
from phoneme_lightning.sweep.design import Row, write_design
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.round import Budget, Goal, Scientific
from phoneme_lightning.training.utterance_file import write_utterances

LR = "model.optimizer.init_args.lr"


@pytest.fixture
def searched(tmp_path, plant, monkeypatch):
    """Give a round of two arms and four points, one seed, whose best trial is p001-cosine-s0."""
    monkeypatch.chdir(tmp_path)
    scores = {"constant": (0.5, 0.52, 0.51, 0.4), "cosine": (0.55, 0.6, 0.53, 0.45)}
    trials = {
        f"p{point:03}-{arm}-s0": {
            "arm": arm,
            "values": {"model.schedule": arm, LR: 10.0 ** (point - 4)},
            "state": "completed",
            "curve": (score - 0.1, score),
        }
        for point in range(4)
        for arm, score in ((arm, each[point]) for arm, each in scores.items())
    }
    folder = plant(
        tmp_path / "runs/rounds/lr",
        trials,
        scientific={"model.schedule": Scientific(values=["constant", "cosine"])},
    )
    rows = [
        Row(name, told["arm"], int(name[1:4]), 0, told["values"]) for name, told in trials.items()
    ]
    write_design(folder.design, rows)
    return folder


@pytest.fixture
def confirmed(searched, plant):
    """Give what plants a confirm round of p001-cosine-s0, from scores of both arms by seed."""

    def confirmed(ours, theirs, name="lr-confirm", states=()):
        trials = {
            f"p000-{arm}-s{seed}": {
                "arm": arm,
                "values": {"side": arm},
                "state": dict(states).get(f"{arm}-{seed}", "completed"),
                "curve": (score - 0.1, score),
            }
            for arm, scores in zip(ARMS, (ours, theirs), strict=True)
            for seed, score in enumerate(scores, 1)
        }
        arms = {"candidate": {"model.schedule": "cosine", LR: 1e-3}, "baseline": {}}
        folder = plant(
            searched.path.parent / name,
            trials,
            phase="confirm",
            goal=Goal("Is p001-cosine-s0 better?", "try a change", "lr"),
            scientific={"side": Scientific(values=arms)},
            nuisance={},
            budget=Budget(1),
            seeds=list(range(1, len(ours) + 1)),
        )
        rows = [
            Row(name, told["arm"], 0, int(name.rsplit("s", 1)[1]), told["values"])
            for name, told in trials.items()
        ]
        write_design(folder.design, rows)
        return folder, load_round(folder)

    return confirmed


@pytest.fixture
def count():
    """Give what writes the counts of a trial's utterances, each of 100 frames."""

    def count(folder, trial, right):
        counts = [(f"u{place:03}", 100, n) for place, n in enumerate(right)]
        write_utterances(folder.attempt(trial, 1), counts)

    return count
