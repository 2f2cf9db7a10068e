import pytest

from phoneme_lightning.sweep.claim import LostLease
from phoneme_lightning.sweep.exploit import propose
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.pruning import Pruner
from phoneme_lightning.sweep.records import read_record
from phoneme_lightning.sweep.round import Budget, Objective, Pruning, Sampler, Training
from phoneme_lightning.sweep.round_file import read_round
from phoneme_lightning.sweep.spaces import Log
from phoneme_lightning.training.outcome import Outcome, write_outcome

SPACE = {"model.optimizer.init_args.lr": Log(1e-4, 1e-1)}
STEPS, EVERY = 90, 10


class Running:
    """A round with trials that run, as far as their metrics.csv tells."""

    def __init__(self, folder):
        self.folder, self.round = folder, read_round(folder.round)
        self.ledger = Ledger(folder, self.round)
        self.pruner = Pruner(self.ledger, self.round)

    def begin(self):
        claim, row = propose(self.ledger, self.round, self.folder)
        attempt = self.folder.attempt(row.trial, 1)
        attempt.mkdir(parents=True)
        (attempt / "metrics.csv").write_text("step,train/loss,val/frame_accuracy,val/loss\n")
        return claim, row, attempt

    def train(self, trial, level, steps=STEPS):
        """Train a trial, and look after each validation; give the step at which it is asked."""
        claim, row, attempt = trial
        for step in range(EVERY, steps + 1, EVERY):
            with (attempt / "metrics.csv").open("a") as file:
                file.write(f"{step - 5},2.0,,\n{step},,{level + step / 1000},{1 - level}\n")
            if self.pruner.look(claim, attempt):
                assert (attempt / "stop").exists()
                break
        else:
            assert not (attempt / "stop").exists()
        early = "asked" if (attempt / "stop").exists() else None
        write_outcome(attempt, Outcome("completed", step=step, stopped_early=early))
        record = read_record(self.folder, row, self.round.objective, 3)
        self.ledger.finish(claim, record)
        return step


@pytest.fixture
def running(plant, tmp_path):
    def make(kind, metric="val/frame_accuracy", mode="max", warmup_steps=0):
        return Running(
            plant(
                tmp_path / kind,
                {},
                phase="exploit",
                nuisance=SPACE,
                budget=Budget(30),
                training=Training(STEPS, EVERY),
                sampler=Sampler("tpe"),
                objective=Objective(metric, mode),
                pruning=Pruning(kind, warmup_steps),
            )
        )

    return make


@pytest.mark.parametrize(("metric", "mode"), [("val/frame_accuracy", "max"), ("val/loss", "min")])
def test_a_trial_below_the_median_is_asked_to_stop_and_a_better_one_is_not(running, metric, mode):
    round = running("median", metric, mode)
    for level in (0.5, 0.6, 0.7, 0.6, 0.5):
        assert round.train(round.begin(), level) == STEPS
    assert round.train(round.begin(), 0.3) < STEPS / 2
    assert round.train(round.begin(), 0.8) == STEPS


def test_no_trial_is_asked_to_stop_before_the_warmup(running):
    round = running("median", warmup_steps=60)
    for _ in range(5):
        round.train(round.begin(), 0.6)
    assert round.train(round.begin(), 0.3) == 60


def test_hyperband_ends_most_weak_trials_and_spares_the_best(running):
    round = running("hyperband")
    best = round.train(round.begin(), 0.9)
    ended = [round.train(round.begin(), 0.1 - n / 1000) for n in range(12)]
    assert best == STEPS
    assert sum(step < STEPS for step in ended) >= 9


def test_trials_at_once_are_compared_while_they_run(running):
    round = running("hyperband")
    trials = [round.begin() for _ in range(12)]
    asked = 0
    for n, (claim, _, attempt) in enumerate(trials):
        with (attempt / "metrics.csv").open("a") as file:
            file.writelines(f"{step},,{0.9 - n / 20},\n" for step in range(EVERY, STEPS, EVERY))
        asked += round.pruner.look(claim, attempt)
    assert 6 <= asked < 12


def test_what_is_half_written_or_no_number_is_passed_over(running):
    round = running("median")
    claim, _, attempt = round.begin()
    with (attempt / "metrics.csv").open("a") as file:
        file.write("10,,nan,\n20,,0.5,\n30,,0.")
    assert not round.pruner.look(claim, attempt)
    (trial,) = round.ledger.study.trials
    assert trial.intermediate_values == {20: 0.5}


def test_none_asks_no_trial_to_stop(running):
    round = running("none")
    for level in (0.6, 0.6, 0.6, 0.6, 0.6, 0.1):
        assert round.train(round.begin(), level) == STEPS


def test_a_trial_that_was_cancelled_is_lost_and_no_fault(running):
    round = running("median")
    claim, row, attempt = round.begin()
    (attempt / "metrics.csv").write_text(f"step,val/frame_accuracy\n{EVERY},0.5\n")
    round.ledger.cancel([row.trial])
    with pytest.raises(LostLease):
        round.pruner.look(claim, attempt)
