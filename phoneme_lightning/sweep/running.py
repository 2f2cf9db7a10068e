"""`phoneme-sweep run` and `worker`, from a round's folder to its leaderboard."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from rich.console import Console
from rich.progress import Progress

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.check import Checked, check_points
from phoneme_lightning.sweep.claim import Claim
from phoneme_lightning.sweep.conclusion import conclude
from phoneme_lightning.sweep.constraints import violated
from phoneme_lightning.sweep.design import Row, read_design
from phoneme_lightning.sweep.disk import prune_checkpoints
from phoneme_lightning.sweep.driver import TIME_IS_OVER, Driver, Slot
from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.exploit import check_exploit, propose
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.following import Follower
from phoneme_lightning.sweep.launch import Launcher, make_launcher
from phoneme_lightning.sweep.learn import find_sources, learn
from phoneme_lightning.sweep.ledger import Ledger
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.machine import list_gpus, trials_at_once
from phoneme_lightning.sweep.records import PREEMPTED, read_records
from phoneme_lightning.sweep.round import Executor, Round
from phoneme_lightning.sweep.screen import Screen
from phoneme_lightning.sweep.slurm import LOGS, describe_workers, list_workers, queue_again
from phoneme_lightning.sweep.storage import check_storage

__all__ = ["check_round", "run_round", "work"]

ENDED = ("completed", "pruned", "infeasible", "failed")


def run_round(folder: RoundFolder, round: Round) -> int:
    """Run all that is left of a round, and conclude it.

    Args:
        folder: of the round, opened.
        round: what it is.

    Returns:
        The exit code: 0 where every trial has ended, 1 where the round was stopped before, or
        where trials failed.

    Raises:
        InputError: the playbook forbids the round, or the parser refuses a trial.
    """
    folder = folder.go_home()
    if round.executor.kind == "slurm":
        why = _follow(folder, round)
    else:
        _tell_of_slurm(folder, round)
        why = _drive(folder, round)
    if why:
        print(
            f"{why}; see phoneme-sweep leaderboard {folder.path}; go on with: "
            f"{command_to_go_on(folder, round)}"
        )
        return 1
    return conclude(folder, round)


def work(folder: RoundFolder, round: Round, until: float | None = None) -> int:
    """Help to run a round that another driver has begun; leave its conclusion to that one.

    Where SLURM wants its place, it waits in SLURM's queue for its next turn.

    Args:
        folder: of the round.
        round: what it is.
        until: when to begin no further trial, in seconds since 1970; if None, once
            `budget.total_time` of this worker's own is over.

    Returns:
        The exit code, as for `run_round`; 0 for that.
    """
    if until is not None:
        left = Duration(f"{max(until - time.time(), 0):.0f}s")
        round = replace(round, budget=replace(round.budget, total_time=left))
    why = _drive(folder.go_home(), round)
    if why == PREEMPTED:
        with suppress(OSError):  # of a log on a full disk
            print(
                f"{why}: what is left of its trials goes on from their last validation", flush=True
            )
        queue_again()
        return 0
    if why:
        print(f"{why}; go on with: phoneme-sweep worker {folder.path}")
    return 0 if why in ("", TIME_IS_OVER) else 1


def check_round(folder: RoundFolder, round: Round) -> None:
    """Look a new round over before it begins: by the playbook, then point by point.

    Raises:
        InputError: the playbook forbids it, its storage does not answer, or phoneme-cli would
            refuse a trial.
    """
    objections = lint(round, folder.base_configs())
    for objection in objections:
        if objection.severity != "info":
            print(f"{objection.severity}: {objection.key}: {objection.message} [{objection.rule}]")
    errors = [objection for objection in objections if objection.severity == "error"]
    if errors:
        raise InputError(
            f"{round.name} breaks {len(errors)} of the playbook's rules, as said above; "
            "`phoneme-sweep lint` tells more"
        )
    check_storage(round.storage.url)
    if round.phase == "exploit":
        check_exploit(round)
        find_sources(round, folder.path.parent)
    if round.executor.kind != "slurm":
        _launcher(round)  # warms up meanwhile
    _check(folder, round)


def _check(folder: RoundFolder, round: Round) -> dict[str, Checked]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking every point")

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return check_points(folder, round, read_design(folder.design), show)


def _fill_queue(folder: RoundFolder, round: Round) -> Ledger:
    """Open a round's queue, with all in it that is left to run."""
    ledger = Ledger(folder, round)
    for message in ledger.reconcile():
        print(message)
    ledger.enqueue(read_design(folder.design))
    _retrain_lost(folder, round, ledger)
    return ledger


def _follow(folder: RoundFolder, round: Round) -> str:
    """Have workers in SLURM run a round; say why it ended before its end, if it did."""
    _check(folder, round)
    ledger = _fill_queue(folder, round)
    with Screen(folder, round) as screen:
        rows = len(read_design(folder.design))
        screen.say(f"{round.name}: {rows} trials designed, for workers in SLURM, {folder.path}")
        return Follower(folder, round, ledger, screen).run()


def _tell_of_slurm(folder: RoundFolder, round: Round) -> None:
    """Say so where trials are about to run here, but SLURM's workers might be meant."""
    told = ""
    if round.executor != Executor(kind=round.executor.kind):
        told = "what the round's file says in executor is for SLURM"
    with suppress(InputError):
        workers = list_workers(folder) if (folder.path / LOGS).is_dir() else []
        if any(worker.is_live for worker in workers):
            told = describe_workers(workers)
    if told:
        print(f"{told}; trials run here: for SLURM's workers give --executor slurm", flush=True)


def _drive(folder: RoundFolder, round: Round) -> str:
    """Run a round's trials on this machine; say why it ended before its end, if it did."""
    launcher = _launcher(round)
    try:
        checked = _check(folder, round)
        ledger = _fill_queue(folder, round)
        with Screen(folder, round) as screen:
            driver = Driver(
                folder,
                round,
                ledger,
                launcher,
                parallel=trials_at_once(round),
                objection=_objections(folder, round, checked),
                propose=_proposals(ledger, round, folder),
                watch=_watch(ledger, round),
                tidy=lambda: prune_checkpoints(folder, screen.watch.records(), round.objective),
                gpus=list_gpus(),
                view=screen,
            )
            rows, at_once = len(read_design(folder.design)), driver.parallel
            screen.say(f"{round.name}: {rows} trials designed, {at_once} at once, {folder.path}")
            driver.run()
    finally:
        launcher.close()
    return driver.why_stopped


def command_to_go_on(folder: RoundFolder, round: Round) -> str:
    """Name what goes on with a round; `run` would not say what a confirmation or probe came to."""
    if round.phase in ("confirm", "probe"):
        return f"the same phoneme-sweep {round.phase}"
    how = " --executor slurm" if round.executor.kind == "slurm" else ""
    return f"phoneme-sweep run {folder.path}{how}"


def _retrain_lost(folder: RoundFolder, round: Round, ledger: Ledger) -> None:
    """Let trials wait again whose folders somebody deleted after they had ended."""
    states = ledger.states()
    records = read_records(folder, round.objective, round.retry.attempts)
    lost = [
        record.trial
        for record in records
        if record.state == "waiting" and states.get(record.trial) in ENDED
    ]
    for trial in lost:
        print(f"{trial}: {states[trial]} by the study, but its folder is gone: it is trained again")
    ledger.requeue(lost)


def _launcher(round: Round) -> Launcher:
    kind = round.executor.kind
    if kind == "auto" or kind == "slurm":  # mypy follows no `in`
        kind = "subprocess" if list_gpus() else "fork"
    return make_launcher(kind)


def _objections(
    folder: RoundFolder, round: Round, checked: dict[str, Checked]
) -> Callable[[Row], str | None]:
    def objection(row: Row) -> str | None:
        if not round.constraints:
            return None
        if row.trial not in checked:  # proposed since
            checked.update(check_points(folder, round, [row]))
        known = checked[row.trial]
        return violated(round.constraints, known.config, known.parameters)

    return objection


def _proposals(
    ledger: Ledger, round: Round, folder: RoundFolder
) -> Callable[[], tuple[Claim, Row] | None]:
    if round.phase != "exploit":
        return lambda: None
    for line in learn(ledger, round, folder):
        print(line)
    return lambda: propose(ledger, round, folder)


def _watch(ledger: Ledger, round: Round) -> Callable[[Slot], None]:
    if round.pruning.kind == "none":
        return lambda slot: None
    from phoneme_lightning.sweep.pruning import Pruner

    pruner = Pruner(ledger, round)

    def watch(slot: Slot) -> None:
        pruner.look(slot.claim, slot.running.folder)

    return watch
