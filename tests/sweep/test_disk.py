"""What trials take up on the disk."""

from phoneme_lightning.sweep.disk import prune_checkpoints, shortage
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.records import read_records

LR = "model.optimizer.init_args.lr"


def test_a_trial_needs_room_for_its_checkpoints(plant, tmp_path):
    folder = plant(tmp_path / "round", {"p000-all-s0": {"values": {LR: 0.1}, "state": "completed"}})
    assert not shortage(folder)
    checkpoints = folder.attempt("p000-all-s0", 1) / "checkpoints"
    checkpoints.mkdir()
    with (checkpoints / "best.ckpt").open("wb") as file:
        file.truncate(2**43)  # it is all hole
    assert f"a trial may need {2**25 + 64}" in shortage(folder)


def test_checkpoints_stay_for_the_best_of_each_arm(plant, tmp_path):
    def trial(arm, value, state="completed"):
        return {"arm": arm, "values": {LR: 0.1}, "state": state, "curve": [value]}

    trials = {f"p{n:03}-a-s0": trial("a", n / 10) for n in range(7)}
    trials |= {f"p{n:03}-b-s0": trial("b", n / 100) for n in range(2)}
    trials |= {f"p00{n}-a-s0": trial("a", 0.99, state) for n, state in ((8, "infeasible"),)}
    trials |= {"p009-a-s0": trial("a", 0.99, "failed"), "p010-a-s0": {"values": {LR: 0.1}}}
    folder = plant(tmp_path / "round", trials)
    for name in trials:
        (folder.attempt(name, 1) / "checkpoints").mkdir(parents=True, exist_ok=True)
        for file in ("best.ckpt", "last.ckpt", "best-2.ckpt"):
            (folder.attempt(name, 1) / "checkpoints" / file).write_bytes(b"x")
    round = load_round(folder)
    prune_checkpoints(folder, read_records(folder, round.objective, 3), round.objective)

    def left(name):
        return sorted(file.name for file in folder.attempt(name, 1).glob("checkpoints/*"))

    best = ["best-2.ckpt", "best.ckpt"]
    assert {n: left(f"p{n:03}-a-s0") for n in range(7)} == {
        n: best if n >= 2 else [] for n in range(7)
    }
    assert left("p000-b-s0") == left("p001-b-s0") == best
    assert left("p008-a-s0") == []
    assert left("p009-a-s0") == left("p010-a-s0") == [*best, "last.ckpt"]
