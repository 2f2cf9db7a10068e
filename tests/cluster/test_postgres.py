"""A study in PostgreSQL: no trial is lost or run twice, whatever becomes of the server."""

import json
import multiprocessing
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import TrialState

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep import storage as storage_module
from phoneme_lightning.sweep import storage_patient
from phoneme_lightning.sweep.claim import LostLease
from phoneme_lightning.sweep.design import Row, write_design
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.optuna_space import round_distributions, study_trial
from phoneme_lightning.sweep.rebuild import rebuild_study
from phoneme_lightning.sweep.records import read_record
from phoneme_lightning.sweep.round import Budget, Goal, Round, Storage, Training
from phoneme_lightning.sweep.spaces import Log
from phoneme_lightning.sweep.storage import STORAGE_ERRORS, open_database
from phoneme_lightning.training.outcome import Outcome, write_outcome

METRIC = "val/frame_accuracy"
TRIALS = 200  # the cost of it grows with the square
URL = "env:PHONEME_STORAGE"

fork = multiprocessing.get_context("fork")


def make_round(beat="30s", grace="300s", url=URL):
    return Round(
        goal=Goal("Does a server keep its word?"),
        base=[],
        budget=Budget(points=1),
        training=Training(steps=10, evaluate_every=5),
        name="first",
        nuisance={"model.lr": Log(1e-4, 1e-1)},
        storage=Storage(url, Duration(beat), Duration(grace)),
    )


def make_rows(path, points):
    folder = RoundFolder(path)
    folder.trials.mkdir(parents=True)
    rows = [Row(f"p{n:03}-all-s0", "all", n, 0, {"model.lr": 1e-3}) for n in range(points)]
    write_design(folder.design, rows)
    return folder, rows


def fill(path, points, **fields):
    folder, rows = make_rows(path, points)
    ledger = Ledger(folder, make_round(**fields))
    ledger.enqueue(rows)
    return ledger


def run_fit(folder, claim):
    path = folder.attempt(claim.trial, claim.attempt)
    path.mkdir(parents=True)
    (path / "metrics.csv").write_text(f"step,{METRIC}\n10,0.5\n")
    write_outcome(path, Outcome("completed"))


def finish(ledger, claim):
    row = Row(claim.trial, "all", 0, 0, {})
    record = read_record(ledger.folder, row, ledger.round.objective, ledger.round.retry.attempts)
    ledger.finish(claim, record)


def work(ledger, fits):
    """Be a driver, as patient as one: what was being done when the server went is done again."""

    def insist(call, *arguments):
        while True:
            try:
                return call(*arguments)
            except STORAGE_ERRORS:
                time.sleep(0.1)

    while True:
        claim = insist(ledger.claim)
        if claim is None:
            insist(ledger.reap)
            if not {"waiting", "running"} & set(insist(ledger.states).values()):
                return
            time.sleep(0.1)
            continue
        try:
            insist(ledger.beat, claim)
            run_fit(ledger.folder, claim)
            fits.append(claim.trial)
            insist(finish, ledger, claim)
        except LostLease:
            fits.append(f"lost {claim.trial}")


def completed(ledger):
    found = ledger.study.get_trials(states=(TrialState.COMPLETE,))
    return Counter(trial.user_attrs["trial"] for trial in found)


@pytest.mark.timeout(600)
def test_64_workers_share_a_round_though_the_server_crashes(postgres, database, tmp_path):
    folder, rows = make_rows(tmp_path / "first", TRIALS)
    round = make_round(beat="3s")
    distributions = round_distributions(round, ["all"])
    names = [row.trial for row in rows]
    together = fork.Barrier(8)

    def workers(number):
        mine = [Ledger(folder, round) for _ in range(8)]
        for order in range(number, TRIALS, 8):
            mine[0].study.add_trial(study_trial(rows[order], order, distributions, 1))
        together.wait()
        fits = []
        threads = [threading.Thread(target=work, args=(one, fits)) for one in mine]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (tmp_path / f"{number}.json").write_text(json.dumps(fits))

    processes = [fork.Process(target=workers, args=(number,)) for number in range(8)]
    for process in processes:
        process.start()
    most = 0

    def wait_for_fits(count):
        nonlocal most
        while len(list(folder.trials.glob("*/attempt-*/outcome.json"))) < count:
            most = max(most, postgres.connections())
            time.sleep(0.2)

    wait_for_fits(TRIALS // 3)
    postgres.cut()
    wait_for_fits(TRIALS // 2)
    postgres.stop()
    postgres.start()
    for process in processes:
        process.join(400)
        assert process.exitcode == 0
    fits = [one for file in tmp_path.glob("*.json") for one in json.loads(file.read_text())]
    assert Counter(fits) == Counter(names)
    ledger = Ledger(folder, round)
    assert completed(ledger) == Counter(names)
    numbers = [trial.number for trial in ledger.study.trials]
    assert numbers == list(range(len(numbers)))
    assert 32 < most <= 66  # one a worker, and two of one that opens


@pytest.fixture
def line(postgres, database, cluster_file, monkeypatch):
    """Give a line to the database that breaks when it is told to."""
    line = cluster_file("postgres.py").Line(postgres)
    monkeypatch.setenv("PHONEME_STORAGE", postgres.url(database, port=line.port))
    return line


def break_at_each_commit(line, answer):
    """Break the line at the first commit, then at the second, until there is none to break at."""
    for at in range(1, 30):
        before = line.lost
        line.lose(at, answer=answer)
        yield at
        if line.lost == before:
            line.hold()  # it would break later
            return
    raise AssertionError("it has no end")


def insist(call, *arguments):
    """Do what a driver does: call, and call again."""
    for _ in range(3):
        try:
            return call(*arguments)
        except STORAGE_ERRORS:
            pass
    raise AssertionError("it answers and is not heard")


def claim_at_last(ledger):
    """Claim; a claim whose answer is lost is nobody's until it is reaped."""
    while not (claim := insist(ledger.claim)):
        insist(ledger.reap)
        time.sleep(0.02)
    return claim


broken = pytest.mark.parametrize(
    ("answer", "patience"),
    [(False, 0.0), (True, 0.0), (True, 6.0)],
    ids=["before the commit", "at its answer", "at its answer, and the call insists"],
)


@broken
def test_who_tells_an_interruption_on_a_broken_line_tells_it_once(
    line, tmp_path, monkeypatch, answer, patience
):
    ledger = fill(tmp_path / "first", 1, beat="0.1s")
    monkeypatch.setattr(storage_patient, "CALL_SECONDS", patience)
    claim = ledger.claim()
    for _ in break_at_each_commit(line, answer):
        insist(ledger.beat, claim)
        insist(ledger.interrupted, claim, "preempted", 0.0, True)
        line.hold()
        again = claim_at_last(ledger)
        assert (again.trial, again.attempt) == (claim.trial, claim.attempt + 1)
        claim = again
    assert line.lost >= 6


@broken
def test_who_claims_on_a_broken_line_runs_all_once(line, tmp_path, monkeypatch, answer, patience):
    ledger = fill(tmp_path / "first", 20, beat="0.1s")
    monkeypatch.setattr(storage_patient, "CALL_SECONDS", patience)
    names, fits = list(ledger.states()), []
    for _ in break_at_each_commit(line, answer):
        claim = claim_at_last(ledger)
        line.hold()
        run_fit(ledger.folder, claim)
        fits.append(claim.trial)
        finish(ledger, claim)
    assert line.lost >= 3
    work(ledger, fits)  # what was claimed by nobody
    assert Counter(fits) == completed(ledger) == Counter(names)


@broken
def test_who_ends_on_a_broken_line_ends_all_once(line, tmp_path, monkeypatch, answer, patience):
    ledger = fill(tmp_path / "first", 8)
    monkeypatch.setattr(storage_patient, "CALL_SECONDS", patience)
    claims = [ledger.claim() for _ in range(8)]
    for at in break_at_each_commit(line, answer):
        claim = claims[at - 1]
        run_fit(ledger.folder, claim)
        insist(finish, ledger, claim)
    assert line.lost >= 2
    assert completed(ledger) == Counter(claim.trial for claim in claims[:at])


def test_a_server_that_comes_back_within_a_call_is_waited_for(
    postgres, database, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(storage_patient, "CALL_SECONDS", 60.0)  # it may take long to start
    ledger = fill(tmp_path / "first", 2)
    claim = ledger.claim()
    postgres.stop()
    back = threading.Timer(1.0, postgres.start)
    back.start()
    ledger.beat(claim)
    back.join()
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "the storage did not answer for" in said
    assert ledger.claim().trial != claim.trial


def test_a_server_that_stays_away_is_a_fault_after_a_while(
    postgres, database, tmp_path, monkeypatch
):
    monkeypatch.setattr(storage_patient, "CALL_SECONDS", 0.5)
    ledger = fill(tmp_path / "first", 1)
    claim = ledger.claim()
    postgres.stop()
    try:
        began = time.monotonic()
        with pytest.raises(STORAGE_ERRORS) as fault:
            ledger.beat(claim)
        assert time.monotonic() - began < 5
        assert "refused" in storage_patient.say_fault(fault.value)
    finally:
        postgres.start()
    ledger.beat(claim)


def test_many_who_open_an_empty_database_at_once_make_its_tables_once(postgres, database):
    together = fork.Barrier(8)

    def open_it():
        together.wait()
        open_database(URL)

    processes = [fork.Process(target=open_it) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert open_database(URL).get_current_version() == open_database(URL).get_head_version()


def test_a_study_of_another_folder_is_refused_and_can_be_set_aside(database, tmp_path):
    mine = fill(tmp_path / "a/first", 2)
    run_fit(mine.folder, claim := mine.claim())
    finish(mine, claim)
    other, _ = make_rows(tmp_path / "b/first", 1)
    with pytest.raises(InputError, match="of another folder") as refused:
        Ledger(other, make_round())
    assert "pa55word" not in str(refused.value)
    assert rebuild_study(other, make_round()) == "first.bak"
    assert Ledger(other, make_round()).states() == {"p000-all-s0": "waiting"}
    with pytest.raises(InputError, match="of another folder"):
        mine.states()
    assert rebuild_study(mine.folder, mine.round) == "first.bak2"
    assert set(Ledger(mine.folder, mine.round).states().values()) == {"completed", "waiting"}


def test_a_database_that_is_not_the_round_s_own_is_refused(postgres, database, tmp_path):
    ledger = fill(tmp_path / "first", 1)
    url = f"sqlite:///{tmp_path}/other.db"
    with pytest.raises(InputError, match=rf"gone from .*/{database}, but") as refused:
        Ledger(ledger.folder, make_round(url=url))
    assert "pa55word" not in str(refused.value)
    assert rebuild_study(ledger.folder, make_round(url=url)) == ""
    assert Ledger(ledger.folder, make_round(url=url)).states() == {"p000-all-s0": "waiting"}


def test_a_wrong_password_is_said_without_it(postgres, database, tmp_path, monkeypatch):
    monkeypatch.setattr(storage_module, "OPENING_SECONDS", 0.0)
    monkeypatch.setenv("PHONEME_STORAGE", postgres.url(database, password=":another-pa55word"))
    with pytest.raises(InputError, match=r"password authentication failed.*~/\.pgpass") as refused:
        fill(tmp_path / "first", 1)
    assert "pa55word" not in str(refused.value)
    monkeypatch.setenv("PHONEME_STORAGE", postgres.url("nowhere"))
    with pytest.raises(
        InputError, match=r"\"nowhere\" does not exist\): make it, such as by createdb"
    ):
        fill(tmp_path / "second", 1)


@pytest.mark.timeout(900)
def test_a_round_goes_on_through_a_restart_and_shows_no_password(
    place, postgres, database, tmp_path, monkeypatch
):
    few = "{points: 2, parallel: 2}"
    quiet = place.start("run", place.write("quiet", budget=few))
    storage = "{url: 'env:PHONEME_STORAGE', beat: 0.5s, grace: 60s}"
    driver = place.start("run", place.write("busy", budget=few, storage=storage))
    outcomes = place.rounds / "busy/trials"
    deadline = time.monotonic() + 400
    while not list(outcomes.glob("*/attempt-1/outcome.json")):
        assert time.monotonic() < deadline
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.1)
    seen = Path(f"/proc/{driver.pid}/cmdline").read_bytes()
    postgres.stop()
    postgres.start()
    said, _ = driver.communicate(timeout=400)
    assert driver.returncode == 0, said
    assert quiet.wait(400) == 0
    said += place.sweep("status", "busy") + place.sweep("doctor", "busy")
    assert "sound" in said
    assert table(place, "busy") == table(place, "quiet")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    # The sources' changes may be some of this very file.
    written = [path.read_bytes() for path in files if path.name != "git.diff"]
    assert len(written) > 20
    assert not any(b"pa55word" in text for text in [*written, said.encode(), seen])


def table(place, name):
    rows = json.loads(place.sweep("leaderboard", name, "--json"))
    return sorted((row["trial"], row["state"], row["best"], row["final"]) for row in rows)
