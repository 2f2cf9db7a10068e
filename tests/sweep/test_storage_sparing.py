"""A database's trials are read as often as they change, and are always what they are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from phoneme_lightning.sweep.storage import open_storage

DEEDS = ("add", "claim", "attr", "value", "complete", "fail")


@pytest.fixture(scope="module")
def storages(tmp_path_factory):
    """Give two workers' storages of one database, and one that knows no cache."""
    url = f"sqlite:///{tmp_path_factory.mktemp('storage')}/studies.db"
    return [open_storage(url, None)[0] for _ in range(2)], RDBStorage(url)


def do(storage, study, deed, number):
    """Do one thing to a study, if it can be done."""
    if deed == "add":
        attrs = {"trial": number}
        storage.create_new_trial(study, create_trial(state=TrialState.WAITING, user_attrs=attrs))
        return
    try:
        trial = storage.get_trial_id_from_study_id_trial_number(study, number)
        if deed == "claim":
            storage.set_trial_state_values(trial, TrialState.RUNNING)
        elif deed in ("attr", "value"):
            if storage.get_trial(trial).state is TrialState.WAITING:
                return  # it is nobody's yet
            if deed == "attr":
                storage.set_trial_user_attr(trial, "beat", number)
            else:
                storage.set_trial_intermediate_value(trial, 1, 0.5)
        else:
            state = TrialState.COMPLETE if deed == "complete" else TrialState.FAIL
            storage.set_trial_state_values(trial, state, [0.5] if deed == "complete" else None)
    except (KeyError, UpdateFinishedTrialError):
        pass  # there is no such trial, or it has ended


@settings(max_examples=30, deadline=None)
@given(
    deeds=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(DEEDS), st.integers(0, 4)),
        min_size=5,
        max_size=25,
    )
)
def test_who_reads_sparingly_sees_what_is_there(storages, deeds):
    workers, plain = storages
    study = plain.create_new_study([StudyDirection.MAXIMIZE])
    for worker, deed, number in deeds:
        do(workers[worker], study, deed, number)
        there = plain.get_all_trials(study)
        for storage in workers:
            assert storage.get_all_trials(study) == there


def test_a_trial_that_waits_is_read_once(storages, monkeypatch):
    (mine, other), plain = storages
    study = plain.create_new_study([StudyDirection.MAXIMIZE])
    for number in range(20):
        do(other, study, "add", number)
    mine.get_all_trials(study)
    read = []
    get = mine._backend._get_trials

    def count(*arguments, **named):
        read.append(get(*arguments, **named))
        return read[-1]

    monkeypatch.setattr(mine._backend, "_get_trials", count)
    do(other, study, "claim", 3)
    do(other, study, "claim", 5)
    do(other, study, "complete", 5)
    do(other, study, "add", 20)
    for expected in ([3, 5, 20], [3], [3]):
        mine.get_all_trials(study)
        assert [trial.number for trial in read[-1]] == expected
