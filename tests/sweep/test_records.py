"""What counts against a trial that its machine cut short."""

import json

from phoneme_lightning.sweep.records import interruptions


def test_an_attempt_that_had_to_leave_counts_where_it_came_no_further(plant, tmp_path):
    trial = "p000-all-s0"
    folder = plant(tmp_path / "round", {trial: {"values": {"model.optimizer.init_args.lr": 0.1}}})

    def cut_off(attempt, *steps, cause="preempted"):
        into = folder.attempt(trial, attempt)
        into.mkdir(parents=True)
        (into / "attempt.json").write_text(json.dumps({"interrupted": cause}))
        (into / "metrics.csv").write_text("\n".join(["step,val/frame_accuracy", *steps, ""]))
        return interruptions(folder, trial)

    assert cut_off(1) == 1  # before its first validation
    assert cut_off(2, "10,0.1") == 1
    assert cut_off(3, "10,0.1", "20,0.2") == 1
    assert cut_off(4, "10,0.1", "20,0.2") == 2
    assert cut_off(5, "10,0.1", "20,0.2", "30,0.3", cause="terminated") == 3
    folder.write_json(f"trials/{trial}/retried.json", {"attempts": 4})
    assert interruptions(folder, trial) == 1
