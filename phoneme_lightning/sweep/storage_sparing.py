"""A database's trials, of which only those are read that may have changed.

A round's queue is read at each claim and each look for dead workers, by every worker. Optuna reads
anew all that has not ended, so most of what it reads is trials that wait, as they did before.
"""

import sqlalchemy
from optuna.storages import _CachedStorage
from optuna.storages._cached_storage import _StudyInfo

__all__ = ["SparingStorage"]

# In words: Optuna's models take a twentieth of a second to load, also where there is no database.
WAITING = sqlalchemy.text(
    "SELECT trial_id FROM trials WHERE study_id = :study AND state = 'WAITING'"
)


class SparingStorage(_CachedStorage):
    """Reads no trial again that waits: it is as it was made, and none goes back to waiting."""

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        with self._lock:
            study = self._studies.setdefault(study_id, _StudyInfo())
            # Before the trials: one that is claimed in between is read at the next look.
            waiting = self._waiting(study_id)
            read = self._backend._get_trials(
                study_id,
                states=None,
                included_trial_ids=study.unfinished_trial_ids - waiting,
                trial_id_greater_than=study.last_finished_trial_id,
            )
            self._add_trials_to_cache(study_id, read)
            for trial in read:
                if trial.state.is_finished():
                    study.unfinished_trial_ids.discard(trial._trial_id)
                else:
                    study.unfinished_trial_ids.add(trial._trial_id)
                # Trials are made one after the other, under the study's lock: none comes below.
                study.last_finished_trial_id = max(study.last_finished_trial_id, trial._trial_id)

    def _waiting(self, study_id: int) -> set[int]:
        with self._backend.engine.connect() as connection:
            return set(connection.scalars(WAITING, {"study": study_id}))
