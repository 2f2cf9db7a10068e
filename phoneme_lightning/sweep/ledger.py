"""The study as the queue of a round: who runs which trial, and what is still to be run.

What has become of a trial, its folder decides; the study follows. A trial of the study is one
attempt at a trial of the round: it waits, is claimed, gives signs of life, and ends. It never goes
back to waiting: the next attempt is another trial of the study.

Any number of workers may do all of this at once, and may die anywhere in it.
"""

import time
from collections.abc import Iterable, Sequence
from functools import cached_property

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from phoneme_lightning.sweep.claim import Claim, LostLease
from phoneme_lightning.sweep.design import Row, read_design
from phoneme_lightning.sweep.duty import Duty
from phoneme_lightning.sweep.ending import CONSTRAINT, Ending, ending_of, label_of, worst
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.liveness import Alive, Watch
from phoneme_lightning.sweep.optuna_space import round_distributions, study_trial
from phoneme_lightning.sweep.records import OPEN, TrialRecord, read_record
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.study import (
    CONSTRAINT_KEY,
    Attempts,
    RoundStudy,
    by_trial,
    last_attempt,
)

__all__ = ["Ledger"]


def _newest(attempts: Attempts) -> FrozenTrial:
    return attempts[max(attempts)]


class Ledger:
    """The queue of a round's trials. Whatever is called may raise one of STORAGE_ERRORS.

    Args:
        folder: of the round.
        round: what it is.

    Raises:
        InputError: the study is gone though trials have begun, or the storage's URL is none.
    """

    def __init__(self, folder: RoundFolder, round: Round) -> None:
        self.folder, self.round = folder, round
        self._study = RoundStudy(folder, round)
        self._workers = folder.path / "workers"
        self._watch = Watch(self._workers, round.storage.grace, round.storage.beat)
        self._met: dict[int, float] = {}  # number -> when it was first seen to wait
        self._taken: set[int] = set()  # claimed; whether it bears a name was not answered

    @cached_property
    def _alive(self) -> Alive:
        return Alive(self._workers)

    @property
    def study(self) -> optuna.Study:
        """The study as it is now; ask again after each break.

        Its own `ask` would take a waiting trial for a new one: use the ledger's.
        """
        return self._study.study

    def enqueue(self, rows: Sequence[Row]) -> None:
        """Let those trials wait that the study does not know.

        Args:
            rows: the whole design, in its order, which is the order of the queue.
        """
        arms = list(dict.fromkeys(row.arm for row in read_design(self.folder.design)))
        distributions = round_distributions(self.round, arms)
        known = by_trial(self._study.trials())
        unknown = [row.trial for row in rows if row.trial not in known]
        # The folders first, the study once more after them: an attempt that another driver begins
        # from here on is the twin of the one that is added, not the one before it.
        begun = {trial: last_attempt(self.folder, trial) for trial in unknown}
        known = by_trial(self._study.trials()) if unknown else known
        for order, row in enumerate(rows):
            if row.trial not in known:
                attempt = begun[row.trial] + 1
                self.study.add_trial(study_trial(row, order, distributions, attempt))

    def _enqueue_next(self, trial: FrozenTrial, delay_seconds: float = 0.0) -> None:
        """Let the attempt after this one wait."""
        identity = ("trial", "arm", "point", "seed", "order")
        attrs = {key: trial.user_attrs[key] for key in identity}
        attrs["attempt"] = trial.user_attrs["attempt"] + 1
        if delay_seconds:
            attrs |= {"not_before": time.time() + delay_seconds, "delay": delay_seconds}
        self.study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=attrs,
                constraints={CONSTRAINT: 0.0},
            )
        )

    def _is_due(self, trial: FrozenTrial) -> bool:
        attrs = trial.user_attrs
        met = self._met.setdefault(trial.number, time.monotonic())
        # The clocks of machines differ: nobody waits longer than the delay by his own.
        waited = time.monotonic() - met
        return bool(time.time() >= attrs.get("not_before", 0) or waited >= attrs.get("delay", 0))

    def claim(self) -> Claim | None:
        """Claim the next trial in the order of the design: so what is tried again comes first.

        A trial that its folder calls decided is told so instead.

        Returns:
            None where nothing waits whose time has come.
        """
        trials = self._study.trials()
        attempts = by_trial(trials)
        due = []
        for trial in trials:
            attrs = trial.user_attrs
            waits = trial.state is TrialState.WAITING or trial._trial_id in self._taken
            if not waits or "trial" not in attrs:
                continue
            if attempts[attrs["trial"]][attrs["attempt"]] is not trial:
                self._study.end(trial, Ending("duplicate"))
            elif self._is_due(trial):
                due.append(trial)
        for trial in sorted(due, key=lambda one: one.user_attrs["order"]):
            if not self._take(trial._trial_id):
                continue
            record = self._record(trial)
            if record.state in OPEN:
                attempt = trial.user_attrs["attempt"]
                return Claim(trial.number, trial._trial_id, record.trial, attempt)
            self._study.end(trial, self._ending(record))
        return None

    def _take(self, trial_id: int) -> bool:
        """Claim a trial and sign it; say whether it is this worker's."""
        try:
            storage = self._study.storage
            if trial_id not in self._taken:
                if not storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                    return False
                self._taken.add(trial_id)
            self._study.set(trial_id, worker=self._alive.worker)
        except UpdateFinishedTrialError:
            self._taken.discard(trial_id)
            return False
        self._taken.remove(trial_id)
        return True

    def ask(self) -> optuna.Trial:
        """Give a new trial of the study for its sampler to fill; then `adopt` it."""
        study = self.study
        study._thread_local.cached_all_trials = None
        trial_id = self._study.storage.create_new_trial(study._study_id)
        self._study.set(trial_id, worker=self._alive.worker)
        return optuna.Trial(study, trial_id)

    def adopt(self, trial: optuna.Trial, row: Row) -> Claim:
        """Make a trial that was asked for a trial of the round.

        Args:
            trial: as `ask` gave it, all its values suggested.
            row: its line, which stands in the design by now.

        Raises:
            LostLease: the sampler took so long that the trial was taken for dead.
        """
        identity = {"arm": row.arm, "point": row.point, "seed": row.seed, "order": row.point}
        try:
            self._study.storage.set_trial_system_attr(trial._trial_id, CONSTRAINT_KEY, 0.0)
            # The name last: with it the trial is whole.
            self._study.set(trial._trial_id, **identity, attempt=1, trial=row.trial)
        except UpdateFinishedTrialError as error:
            raise LostLease(str(error)) from error
        return Claim(trial.number, trial._trial_id, row.trial, 1)

    def _held(self, claim: Claim) -> FrozenTrial:
        try:
            trial = self._study.storage.get_trial(claim.trial_id)
        except KeyError:
            raise LostLease(f"{claim.trial}: the study was made again") from None
        attrs = trial.user_attrs
        if (attrs.get("trial"), attrs.get("attempt")) != (claim.trial, claim.attempt):
            raise LostLease(f"{claim.trial}: the study was made again")
        return trial

    def beat(self, claim: Claim) -> None:
        """Give a sign of life.

        Raises:
            LostLease: the trial was taken away.
        """
        beat = self._held(claim).user_attrs.get("beat", 0) + 1
        try:
            self._study.set(claim.trial_id, beat=beat)
        except UpdateFinishedTrialError as error:
            raise LostLease(str(error)) from error

    def report(self, claim: Claim, step: int, value: float) -> FrozenTrial:
        """Report a validation of a running trial, and give the trial as it is then.

        Raises:
            LostLease: the trial was taken away.
        """
        try:
            self._held(claim)
            self._study.storage.set_trial_intermediate_value(claim.trial_id, step, value)
        except UpdateFinishedTrialError as error:
            raise LostLease(str(error)) from error
        return self._held(claim)

    def finish(self, claim: Claim, record: TrialRecord) -> None:
        """Tell how a trial ended, as its folder says.

        Raises:
            LostLease: the trial was taken away.
        """
        ending = self._ending(record)
        # Another driver may have read the same in the folder and told it before.
        told = self._study.end(self._held(claim), ending)
        if not told and self._held(claim).state is not ending.state:
            raise LostLease(f"{claim.trial}: attempt {claim.attempt} was taken away")

    def interrupted(self, claim: Claim, cause: str, delay_seconds: float, again: bool) -> None:
        """Tell that an attempt was cut off.

        Args:
            claim: the attempt.
            cause: what cut it off.
            delay_seconds: before the next one.
            again: whether there is a next one.

        Raises:
            LostLease: the trial was taken away.
        """
        trial = self._held(claim)
        if again and not trial.state.is_finished():
            # Before the end of this one, or another driver might find none and let it wait for
            # no time at all.
            self._enqueue_next(trial, delay_seconds)
        ending = Ending("interrupted" if again else "failed", cause)
        told = self._study.end(trial, ending)
        # Told before, by a call whose answer was lost, it says so itself.
        if not told and not ending.attrs.items() <= self._held(claim).user_attrs.items():
            raise LostLease(f"{claim.trial}: attempt {claim.attempt} was taken away")

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        attrs = trial.user_attrs
        row = Row(attrs["trial"], attrs["arm"], attrs["point"], attrs["seed"], {})
        return read_record(self.folder, row, self.round.objective, self.round.retry.attempts)

    def _ending(self, record: TrialRecord) -> Ending:
        bad = None
        if record.state == "infeasible":
            trials = [one for one in self._study.trials() if label_of(one) == "completed"]
            values = [one.value for one in trials if one.value is not None]
            bad = worst(values, self.round.objective)
        return ending_of(record, self.round.objective, bad)

    def duty(self) -> Duty:
        """Give whose turn it is to `reap`, for one of the round's workers."""
        storage = self.round.storage
        return Duty(self._workers, storage.beat / 2, storage.grace / 2)

    def reap(self) -> list[str]:
        """End the trials of dead workers, and let wait again whatever is still to be run.

        Returns:
            What was done, in a line each.
        """
        said = []
        for trial in self._study.trials():
            attrs = trial.user_attrs
            if trial.state is not TrialState.RUNNING or not self._watch.is_stale(
                (trial.number, trial.datetime_start), attrs.get("beat", 0), attrs.get("worker")
            ):
                continue
            if self._study.storage.get_trial(trial._trial_id).user_attrs != attrs:
                continue  # it has given a sign of life since the trials were read
            if "trial" not in attrs:
                self._study.end(trial, Ending("interrupted", "lost lease"))
                continue
            record = self._record(trial)
            if record.state not in OPEN:
                self._study.end(trial, self._ending(record))
            elif self._study.end(trial, Ending("interrupted", "lost lease")):
                said.append(f"{attrs['trial']}: its worker is dead")
        for attempts in by_trial(self._study.trials()).values():
            newest = _newest(attempts)
            if newest.state is TrialState.FAIL and self._record(newest).state in OPEN:
                self._enqueue_next(newest)
        return said

    def reconcile(self) -> list[str]:
        """Tell the study what the folder decided and nobody came to tell.

        Returns:
            What was done, in a line each.
        """
        said = []
        for name, attempts in by_trial(self._study.trials()).items():
            newest = _newest(attempts)
            if newest.state.is_finished():
                continue
            record = self._record(newest)
            if record.state not in OPEN and self._study.end(newest, self._ending(record)):
                said.append(f"{name}: its folder says {record.state}, and now the study does")
        return said

    def states(self) -> dict[str, str]:
        """Give what each trial does by the study.

        Returns:
            waiting, running, completed, pruned, infeasible, failed, interrupted or cancelled, by
            the trial's name.
        """
        attempts = by_trial(self._study.trials())
        return {name: label_of(_newest(several)) for name, several in attempts.items()}

    def cancel(self, trials: Iterable[str]) -> None:
        """End trials whose folder says that they are cancelled; who runs one loses it."""
        known = by_trial(self._study.trials())
        for name in trials:
            for attempt in known.get(name, {}).values():
                if not attempt.state.is_finished():
                    self._study.end(attempt, Ending("cancelled"))

    def requeue(self, trials: Iterable[str]) -> None:
        """Let trials wait again whose folder no longer says that they are decided."""
        known = by_trial(self._study.trials())
        for name in trials:
            newest = _newest(known[name]) if name in known else None
            if newest and newest.state.is_finished():
                self._enqueue_next(newest)
