"""A database's trials, of which only those are read that may have changed.

A round's queue is read at each claim and each look for dead workers, by every worker. Optuna reads
anew all that has not ended, so most of what it reads is trials that wait, as they did before.
"""

import sqlalchemy
from optuna.storages import _CachedStorage
from optuna.storages._cached_storage import _StudyInfo
from optuna.storages._rdb.models import TrialModel
from optuna.trial import TrialState

__all__ = ["SparingStorage"]


class SparingStorage(_CachedStorage):
    """Reads no trial again that waits: until it is claimed or ended it is as it was made."""

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        with self._lock:
            study = self._studies.setdefault(study_id, _StudyInfo())
            open_ids = study.unfinished_trial_ids
            # Before the trials: one that is claimed in between is read at the next look.
            open_ids = open_ids - (self._known_to_wait(study_id) & self._waiting(study_id))
            read = self._backend._get_trials(
                study_id,
                states=None,
                included_trial_ids=open_ids,
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

    def _known_to_wait(self, study_id: int) -> set[int]:
        study = self._studies[study_id]
        return {
            trial._trial_id for trial in study.trials.values() if trial.state is TrialState.WAITING
        } & study.unfinished_trial_ids

    def _waiting(self, study_id: int) -> set[int]:
        of_study = TrialModel.study_id == study_id, TrialModel.state == TrialState.WAITING
        with self._backend.engine.connect() as connection:
            return set(connection.scalars(sqlalchemy.select(TrialModel.trial_id).where(*of_study)))
