"""The ledger: every trial is run once, whoever dies, whatever happens to the storage."""

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep import storage as storage_module
from phoneme_lightning.sweep.claim import LostLease
from phoneme_lightning.sweep.design import Row, append_design, read_design, write_design
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.rebuild import rebuild_study
from phoneme_lightning.sweep.records import read_record, read_records
from phoneme_lightning.sweep.round import Budget, Goal, Objective, Retry, Round, Storage, Training
from phoneme_lightning.sweep.spaces import Categorical, Int, Log
from phoneme_lightning.sweep.storage import STORAGE_ERRORS
from phoneme_lightning.sweep.study import create_study
from phoneme_lightning.training.outcome import Outcome, write_outcome

METRIC = "val/frame_accuracy"
SPACES = {"model.lr": Log(1e-4, 1e-1), "layers": Int(1, 4), "net": Categorical([None, [1, 2]])}

fork = multiprocessing.get_context("fork")  # they start at once: all is imported


@pytest.fixture
def folder(tmp_path):
    found = RoundFolder(tmp_path / "first")
    found.trials.mkdir(parents=True)
    return found


@pytest.fixture(params=["journal", "sqlite"])
def url(request, tmp_path):
    return "journal" if request.param == "journal" else f"sqlite:///{tmp_path}/study.db"


def make_round(url="journal", grace="300s", beat="30s", mode="max", **fields):
    return Round(
        goal=Goal("Does the ledger keep its word?"),
        base=[],
        budget=Budget(points=1),
        training=Training(steps=10, evaluate_every=5),
        name="first",
        objective=Objective(METRIC, mode),
        nuisance=SPACES,
        storage=Storage(url, Duration(beat), Duration(grace)),
        **fields,
    )


def make_design(folder, points, arms=("cosine", "flat")):
    draw = random.Random(0)
    rows = [
        Row(
            f"p{point:03}-{arm}-s0",
            arm,
            point,
            0,
            {key: space.at(draw.random()) for key, space in SPACES.items()},
        )
        for point in range(points)
        for arm in arms
    ]
    write_design(folder.design, rows)
    return rows


def fill(folder, points=2, **fields):
    """Give a ledger whose round waits whole."""
    round = make_round(**fields)
    rows = make_design(folder, points)
    ledger = Ledger(folder, round)
    ledger.enqueue(rows)
    return ledger


def fit(folder, claim, value=0.5, **outcome):
    """Do what a fit does: measure, and write the outcome last."""
    path = folder.attempt(claim.trial, claim.attempt)
    path.mkdir(parents=True, exist_ok=True)
    (path / "metrics.csv").write_text(f"step,{METRIC}\n10,{value}\n")
    write_outcome(path, Outcome(**{"state": "completed", **outcome}))


def finish(ledger, claim):
    row = next(row for row in read_design(ledger.folder.design) if row.trial == claim.trial)
    record = read_record(ledger.folder, row, ledger.round.objective, ledger.round.retry.attempts)
    ledger.finish(claim, record)


def run(ledger, value=0.5, **outcome):
    claim = ledger.claim()
    fit(ledger.folder, claim, value, **outcome)
    finish(ledger, claim)
    return claim


def work(folder, round, seconds=0.0):
    """Be a driver: enqueue, then claim and fit until nothing is left."""
    ledger = Ledger(folder, round)
    ledger.reconcile()
    ledger.enqueue(read_design(folder.design))
    while True:
        claim = ledger.claim()
        if claim is None:
            ledger.reap()
            if not {"waiting", "running"} & set(ledger.states().values()):
                return
            time.sleep(0.02)
            continue
        try:
            ledger.beat(claim)
            time.sleep(random.random() * seconds)
            fit(folder, claim)
            finish(ledger, claim)
        except LostLease:
            continue


def start(target, *arguments):
    process = fork.Process(target=target, args=arguments)
    process.start()
    return process


def kill(process):
    process.kill()  # does nothing where it has ended: all may be done
    process.join()


def count_done(ledger):
    """Count how often each trial is completed in the study."""
    completed = ledger.study.get_trials(states=(TrialState.COMPLETE,))
    return Counter(trial.user_attrs["trial"] for trial in completed)


def test_the_design_is_the_queue(folder, url):
    ledger = fill(folder, url=url)
    rows = read_design(folder.design)
    ledger.enqueue(rows)  # once more changes nothing
    assert ledger.states() == dict.fromkeys((row.trial for row in rows), "waiting")
    claims = [ledger.claim() for _ in rows]
    assert [(claim.trial, claim.attempt) for claim in claims] == [(row.trial, 1) for row in rows]
    assert ledger.claim() is None
    for trial, row in zip(ledger.study.trials, rows, strict=True):
        shown = {**row.values, "arm": row.arm}
        shown["net"] = shown["net"] and str(shown["net"])
        assert trial.params == pytest.approx(shown)
        assert trial.user_attrs["trial"] == row.trial
        assert trial.user_attrs["attempt"] == 1


def test_points_that_are_added_come_last(folder):
    ledger = fill(folder, points=1)
    rows = make_design(folder, 3)
    Ledger(folder, ledger.round).enqueue(rows)
    assert [ledger.claim().trial for _ in rows] == [row.trial for row in rows]


def test_a_value_beyond_its_range_is_run_though_not_shown(folder):
    rows = [Row("p000-all-s0", "all", 0, 0, {"model.lr": 7.0, "unknown": 1, "layers": 2})]
    write_design(folder.design, rows)
    ledger = Ledger(folder, make_round())
    ledger.enqueue(rows)
    assert ledger.study.trials[0].params == {"layers": 2}
    assert ledger.claim().trial == "p000-all-s0"


def test_two_drivers_that_enqueue_at_once_make_no_work_twice(folder, url):
    rows = make_design(folder, 5)
    round = make_round(url=url)
    together = fork.Barrier(3)

    def enqueue():
        ledger = Ledger(folder, round)
        ledger._study.trials = list  # as where all have looked before any adds
        together.wait()
        ledger.enqueue(rows)

    drivers = [start(enqueue) for _ in range(3)]
    for driver in drivers:
        driver.join()
    ledger = Ledger(folder, round)
    assert len(ledger.study.trials) == 3 * len(rows)
    claims = []
    while claim := ledger.claim():
        claims.append(claim.trial)
    assert claims == [row.trial for row in rows]
    closed = Counter(trial.user_attrs.get("state") for trial in ledger.study.trials)
    assert closed == {"duplicate": 2 * len(rows), None: len(rows)}


def test_a_driver_that_enqueues_slowly_takes_no_trial_that_runs_for_a_second_attempt(folder, url):
    rows = make_design(folder, 2)
    slow, quick = (Ledger(folder, make_round(url=url)) for _ in range(2))
    add, claims = slow.study.add_trial, []

    def add_late(trial):
        if not claims:
            quick.enqueue(rows)
            claims.extend(quick.claim() for _ in rows)
            for claim in claims:
                folder.attempt(claim.trial, claim.attempt).mkdir(parents=True)
        add(trial)

    slow.study.add_trial = add_late
    slow.enqueue(rows)
    assert [claim.trial for claim in claims] == [row.trial for row in rows]
    assert slow.claim() is None


def test_no_trial_is_lost_or_done_twice_however_many_workers_die(folder):
    rows = make_design(folder, 100)
    round = make_round(beat="3s")  # who dies before it signs is waited for so long
    draw = random.Random(0)
    workers = [start(work, folder, round, 0.02) for _ in range(8)]
    for _ in range(40):
        time.sleep(draw.random() * 0.1)
        victim = draw.randrange(len(workers))
        kill(workers[victim])
        workers[victim] = start(work, folder, round, 0.02)
    for worker in workers:  # all of them at once
        worker.kill()
    for worker in workers:
        worker.join()
    workers = [start(work, folder, round) for _ in range(4)]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    names = [row.trial for row in rows]
    ledger = Ledger(folder, round)
    assert ledger.states() == dict.fromkeys(names, "completed")
    assert count_done(ledger) == Counter(names)
    assert len(list(folder.trials.glob("*/attempt-*/outcome.json"))) == len(names)


def test_a_database_serves_as_well(folder, tmp_path):
    rows = make_design(folder, 15)
    round = make_round(url=f"sqlite:///{tmp_path}/study.db", beat="3s")
    workers = [start(work, folder, round, 0.02) for _ in range(4)]
    time.sleep(1)
    kill(workers[0])
    for worker in workers[1:]:
        worker.join(60)
        assert worker.exitcode == 0
    ledger = Ledger(folder, round)
    assert ledger.states() == dict.fromkeys((row.trial for row in rows), "completed")
    assert count_done(ledger) == Counter(row.trial for row in rows)
    assert len(list(folder.trials.glob("*/attempt-*/outcome.json"))) == len(rows)


def test_an_interrupted_trial_comes_first_once_its_time_has_come(folder, url):
    ledger = fill(folder, url=url)
    first = ledger.claim()
    ledger.interrupted(first, "killed by SIGKILL", 0.3, again=True)
    assert ledger.states()[first.trial] == "waiting"
    second = ledger.claim()
    assert second.trial != first.trial
    time.sleep(0.35)
    again = ledger.claim()
    assert (again.trial, again.attempt) == (first.trial, 2)
    ledger.interrupted(again, "killed by SIGKILL", 0.0, again=False)
    assert ledger.states()[first.trial] == "failed"
    ended = ledger.study.trials[first.number]
    assert ended.state is TrialState.FAIL
    assert ended.user_attrs["cause"] == "killed by SIGKILL"


def test_no_clock_that_is_ahead_makes_anybody_wait_longer(folder, monkeypatch):
    ledger = fill(folder, points=1)
    claim = ledger.claim()
    with monkeypatch.context() as ahead:
        now = time.time
        ahead.setattr(time, "time", lambda: now() + 3600)
        ledger.interrupted(claim, "preempted", 0.3, again=True)
    assert ledger.claim().attempt == 1  # the other arm
    assert ledger.claim() is None
    time.sleep(0.35)
    assert ledger.claim().attempt == 2


def test_a_beat_that_stands_still_costs_the_lease(folder, url):
    mine = fill(folder, points=1, url=url, grace="0.5s")
    other = Ledger(folder, mine.round)
    claim = mine.claim()
    started = time.monotonic()
    while time.monotonic() - started < 1.2:
        mine.beat(claim)
        assert other.reap() == []
        time.sleep(0.1)
    time.sleep(0.6)
    assert other.reap() == [f"{claim.trial}: its worker is dead"]
    assert other.reap() == []
    with pytest.raises(LostLease):
        mine.beat(claim)
    with pytest.raises(LostLease):
        mine.interrupted(claim, "timeout", 0.0, again=True)
    taken = other.claim()
    assert (taken.trial, taken.attempt) == (claim.trial, 2)
    fit(folder, claim)  # its fit goes on to the end, unaware
    with pytest.raises(LostLease):
        finish(mine, claim)
    finish(other, taken)
    assert other.states()[claim.trial] == "completed"


def test_who_gives_a_sign_of_life_while_others_look_is_spared(folder, url, monkeypatch):
    mine = fill(folder, points=1, url=url)
    other = Ledger(folder, mine.round)
    claim = mine.claim()

    def is_stale(*trial):  # by what was read a moment ago
        mine.beat(claim)
        return True

    monkeypatch.setattr(other._watch, "is_stale", is_stale)
    assert other.reap() == []
    mine.beat(claim)


def test_who_is_killed_on_this_machine_is_not_waited_for(folder, url):
    round = make_round(url=url)
    make_design(folder, 1)
    claimed = fork.Event()

    def claim_and_hang():
        ledger = Ledger(folder, round)
        ledger.enqueue(read_design(folder.design))
        ledger.claim()
        claimed.set()
        time.sleep(60)

    worker = start(claim_and_hang)
    assert claimed.wait(20)
    ledger = Ledger(folder, round)
    os.kill(worker.pid, signal.SIGSTOP)
    assert ledger.reap() == []
    kill(worker)
    assert ledger.reap() == ["p000-cosine-s0: its worker is dead"]
    assert ledger.claim().attempt == 2


def test_who_dies_before_it_signs_is_not_waited_for_long(folder):
    ledger = fill(folder, points=1, beat="0.2s")
    first = ledger.study.trials[0]
    ledger.study._storage.set_trial_state_values(first._trial_id, TrialState.RUNNING)
    assert ledger.reap() == []
    time.sleep(0.3)
    assert ledger.reap() == ["p000-cosine-s0: its worker is dead"]


@pytest.mark.parametrize("way", ["reconcile", "reap", "claim"])
def test_what_the_folder_decided_is_told_and_not_run_again(folder, way):
    ledger = fill(folder, points=1, grace="0.2s")
    claim = ledger.claim()
    if way == "claim":
        ledger.interrupted(claim, "stopped", 0.0, again=True)
    fit(folder, claim, 0.75)  # and here its driver dies
    if way == "reconcile":
        assert len(ledger.reconcile()) == 1
    elif way == "reap":
        ledger.reap()
        time.sleep(0.3)
        ledger.reap()
    assert ledger.claim().trial != claim.trial
    assert ledger.claim() is None
    assert ledger.states()[claim.trial] == "completed"
    assert ledger.study.best_value == 0.75
    if way == "reconcile":  # the driver was alive after all
        finish(ledger, claim)


def test_an_attempt_without_a_next_one_gets_it(folder):
    ledger = fill(folder, points=1)
    claim = ledger.claim()
    ledger.study.tell(claim.number, state=TrialState.FAIL)  # and here its driver dies
    ledger.reap()
    Ledger(folder, ledger.round).reap()
    assert ledger.claim().attempt == 2
    assert ledger.claim().attempt == 1
    assert ledger.claim() is None


def test_a_bug_is_not_tried_again(folder):
    ledger = fill(folder, points=1)
    claim = run(ledger, state="failed", message="KeyError")
    ledger.reap()
    assert ledger.states()[claim.trial] == "failed"
    assert ledger.claim().trial != claim.trial
    assert ledger.claim() is None


@pytest.mark.parametrize(("mode", "alone"), [("max", 0.0), ("min", 0.9)])
def test_an_infeasible_trial_is_data_and_never_the_best(folder, url, mode, alone):
    ledger = fill(folder, url=url, mode=mode)
    run(ledger, 0.9, state="infeasible", cause="nan")
    with pytest.raises(ValueError, match="feasible"):
        ledger.study.best_trial  # noqa: B018
    for value in (0.3, 0.6):
        run(ledger, value)
    run(ledger, 0.99 if mode == "max" else 0.01, state="infeasible", cause="diverged")
    trials = ledger.study.trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert [trial.value for trial in trials] == [alone, 0.3, 0.6, 0.3 if mode == "max" else 0.6]
    assert [list(trial.constraints.values()) for trial in trials] == [[1.0], [0.0], [0.0], [1.0]]
    assert trials[0].user_attrs["cause"] == "nan"
    assert ledger.study.best_value == (0.6 if mode == "max" else 0.3)
    states = list(ledger.states().values())
    assert states == ["infeasible", "completed", "completed", "infeasible"]


def test_a_trial_that_was_asked_to_stop_is_no_best_value(folder):
    ledger = fill(folder, points=1)
    run(ledger, 0.9, stopped_early="asked")
    run(ledger, 0.5)
    assert list(ledger.states().values()) == ["pruned", "completed"]
    assert ledger.study.best_value == 0.5


def test_a_trial_without_a_value_is_no_data(folder):
    ledger = fill(folder, points=1)
    claim = run(ledger, "")
    ledger.reap()
    assert ledger.states()[claim.trial] == "failed"
    assert METRIC in ledger.study.trials[0].user_attrs["cause"]


def test_cancelled_and_taken_back(folder):
    ledger = fill(folder, points=1)
    running = ledger.claim()
    names = list(ledger.states())
    for name in names:
        (folder.trials / name).mkdir()
        (folder.trials / name / "cancelled").touch()
    Ledger(folder, ledger.round).cancel(names)
    assert set(ledger.states().values()) == {"cancelled"}
    with pytest.raises(LostLease):
        ledger.beat(running)
    ledger.reap()
    assert ledger.claim() is None
    (folder.trials / names[1] / "cancelled").unlink()
    ledger.requeue([names[1]])
    ledger.requeue([names[1]])
    claim = ledger.claim()
    assert (claim.trial, claim.attempt) == (names[1], 2)
    assert ledger.claim() is None


def test_what_is_asked_for_is_new_and_adopted(folder):
    ledger = fill(folder, points=1, grace="0.2s")
    waiting = ledger.claim()
    ledger.interrupted(waiting, "preempted", 60.0, again=True)
    trial = ledger.ask()
    assert trial.number == 3
    assert ledger.states()[waiting.trial] == "waiting"
    drawn = trial.suggest_float("model.lr", 1e-4, 1e-1, log=True)
    row = Row("p001-all-s0", "all", 1, 0, {"model.lr": drawn})
    append_design(folder.design, [row])
    claim = ledger.adopt(trial, row)
    ledger.beat(claim)
    fit(folder, claim, 0.8)
    finish(ledger, claim)
    assert ledger.study.best_trial.params == row.values
    assert ledger.study.best_trial.constraints == {"infeasible": 0.0}

    lost = ledger.ask()  # and here its driver dies
    ledger.reap()
    time.sleep(0.3)
    ledger.reap()
    assert ledger.study.trials[lost.number].state is TrialState.FAIL
    with pytest.raises(LostLease):
        ledger.adopt(lost, row)


def test_a_sampler_takes_what_the_ledger_tells(folder):
    ledger = fill(folder, points=6)
    for number in range(12):
        run(ledger, number / 12, state="infeasible" if number % 3 == 0 else "completed")
    ledger.study.sampler = optuna.samplers.GPSampler(seed=0, n_startup_trials=0)
    assert {"model.lr", "layers", "net", "arm"} == ledger.ask().relative_params.keys()


def test_a_journal_that_goes_away_and_comes_back(folder):
    ledger = fill(folder, points=1)
    claim = ledger.claim()
    fit(folder, claim)
    aside = folder.path / "aside"
    folder.journal.rename(aside)
    calls = [
        ledger.claim,
        ledger.reap,
        ledger.states,
        lambda: ledger.beat(claim),
        lambda: finish(ledger, claim),
        lambda: ledger.interrupted(claim, "timeout", 0.0, again=True),
    ]
    for call in calls:
        with pytest.raises(STORAGE_ERRORS, match="--rebuild-study"):
            call()
    assert not folder.journal.exists()
    with pytest.raises(InputError, match=r"doctor .* --rebuild-study"):
        Ledger(folder, ledger.round)
    folder.journal.write_bytes(aside.read_bytes())  # a copy: not the same file
    ledger.beat(claim)
    finish(ledger, claim)
    assert ledger.states()[claim.trial] == "completed"


def test_a_database_that_is_locked_for_a_while(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(storage_module, "BUSY_SECONDS", 0.1)
    file = tmp_path / "study.db"
    ledger = fill(folder, points=1, url=f"sqlite:///{file}")
    claim = ledger.claim()
    fit(folder, claim)
    other = sqlite3.connect(file)
    other.execute("BEGIN EXCLUSIVE")
    for call in (ledger.claim, lambda: ledger.beat(claim), lambda: finish(ledger, claim)):
        with pytest.raises(STORAGE_ERRORS):
            call()
    other.rollback()
    ledger.beat(claim)
    finish(ledger, claim)
    assert ledger.states()[claim.trial] == "completed"
    assert ledger.claim()


def test_a_url_that_is_none_is_refused(folder):
    with pytest.raises(InputError, match=r"storage\.url"):
        Ledger(folder, make_round(url="nonsense"))


def test_a_damaged_journal_is_made_again(folder):
    ledger = fill(folder, points=2)
    claim = run(ledger, 0.7)
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join([lines[0], b"\0\0\n", *lines[2:]]))
    with pytest.raises(InputError, match=r"damaged .* --rebuild-study"):
        Ledger(folder, ledger.round)
    rebuild_study(folder, ledger.round)
    assert Ledger(folder, ledger.round).states()[claim.trial] == "completed"


def test_no_folder_of_an_attempt_is_used_again(folder):
    rows = make_design(folder, 1)
    folder.attempt(rows[0].trial, 2).mkdir(parents=True)
    round = make_round()
    storage, _ = storage_module.open_storage("journal", folder.journal)
    create_study(storage, round)
    ledger = Ledger(folder, round)
    ledger.enqueue(rows)
    claims = {claim.trial: claim.attempt for claim in (ledger.claim(), ledger.claim())}
    assert claims == {rows[0].trial: 3, rows[1].trial: 1}


def told(ledger):
    """Give all that the study says of attempts, but for what stands in for a value."""
    return sorted(
        (
            trial.user_attrs["trial"],
            trial.user_attrs["attempt"],
            trial.state.name,
            trial.value if trial.state is TrialState.COMPLETE else None,
            tuple(trial.constraints.values()),
            tuple(sorted((key, str(value)) for key, value in trial.params.items())),
        )
        for trial in ledger.study.trials
    )


def test_the_study_is_made_again_from_the_folder(folder, url, tmp_path):
    ledger = fill(folder, points=4, url=url, retry=Retry(attempts=2))
    run(ledger, 0.4)
    cut = ledger.claim()
    folder.attempt(cut.trial, 1).mkdir(parents=True)
    ledger.interrupted(cut, "preempted", 0.0, again=True)
    run(ledger, 0.7)  # its second attempt
    run(ledger, 0.2)
    run(ledger, state="infeasible", cause="nan")
    run(ledger, state="failed")
    cancelled = ledger.claim().trial
    (folder.trials / cancelled).mkdir()
    (folder.trials / cancelled / "cancelled").touch()
    ledger.cancel([cancelled])
    cut = ledger.claim()
    folder.attempt(cut.trial, 1).mkdir(parents=True)
    ledger.interrupted(cut, "preempted", 0.0, again=True)
    before, states = told(ledger), ledger.states()
    assert Counter(states.values()) == {
        "completed": 3,
        "infeasible": 1,
        "failed": 1,
        "cancelled": 1,
        "waiting": 2,
    }

    if url == "journal":
        folder.journal.unlink()
    else:
        optuna.delete_study(study_name="first", storage=url)
    with pytest.raises(InputError, match="--rebuild-study"):
        Ledger(folder, ledger.round)
    assert rebuild_study(folder, ledger.round) == ""
    again = Ledger(folder, ledger.round)
    assert told(again) == before
    assert again.states() == states
    assert again.study.best_value == 0.7

    claim = again.claim()
    assert (claim.trial, claim.attempt) == (cut.trial, 2)
    kept = rebuild_study(folder, ledger.round)  # while somebody runs, against all advice
    assert "first.bak" in kept or "study.journal.bak" in kept
    with pytest.raises(LostLease):
        again.beat(replace(claim, trial_id=0))
    assert again.claim().trial == claim.trial


def test_a_study_is_not_begun_again_in_a_database_until_it_is_moved(folder, tmp_path):
    ledger = fill(folder)
    elsewhere = make_round(url=f"sqlite:///{tmp_path}/study.db")
    with pytest.raises(InputError, match=r"is .*study.journal, and .* holds none.*--rebuild-study"):
        Ledger(folder, elsewhere)
    rebuild_study(folder, elsewhere)
    assert Ledger(folder, elsewhere).states() == ledger.states()


def test_what_is_beside_a_round_in_its_storage_is_left_alone(folder, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(study_name="another", storage=url).ask()
    ledger = fill(folder, url=url)
    rebuild_study(folder, ledger.round)
    assert len(optuna.load_study(study_name="another", storage=url).trials) == 1
    assert len(read_records(folder, ledger.round.objective, 3)) == len(ledger.states())


def test_a_worker_leaves_its_name(folder):
    ledger = fill(folder, points=1)
    ledger.claim()
    worker = ledger.study.trials[0].user_attrs["worker"]
    assert [path.stem for path in (folder.path / "workers").iterdir()] == [worker]
    assert json.dumps(worker)
