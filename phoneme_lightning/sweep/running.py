"""`phoneme-sweep run` and `worker`, from a round's folder to its leaderboard."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import Progress

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.check import Checked, check_points
from phoneme_lightning.sweep.conclusion import conclude
from phoneme_lightning.sweep.constraints import violated
from phoneme_lightning.sweep.design import Row, read_design
from phoneme_lightning.sweep.disk import prune_checkpoints
from phoneme_lightning.sweep.driver import Driver, Slot
from phoneme_lightning.sweep.exploit import check_exploit, propose
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.launch import Launcher, make_launcher
from phoneme_lightning.sweep.learn import find_sources, learn
from phoneme_lightning.sweep.ledger import Claim, Ledger
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.machine import list_gpus, trials_at_once
from phoneme_lightning.sweep.records import read_records
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.screen import Screen

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
    return _drive(folder, round, first=True)


def work(folder: RoundFolder, round: Round) -> int:
    """Help to run a round that another driver has begun; leave its conclusion to that one.

    Returns:
        The exit code, as for `run_round`.
    """
    return _drive(folder, round, first=False)


def check_round(folder: RoundFolder, round: Round) -> None:
    """Look a new round over before it begins: by the playbook, then point by point.

    Raises:
        InputError: the playbook forbids it, or phoneme-cli would refuse a trial.
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
    if round.phase == "exploit":
        check_exploit(round)
        find_sources(round, folder.path.parent)
    _launcher(round)  # warms up meanwhile
    _check(folder, round)


def _check(folder: RoundFolder, round: Round) -> dict[str, Checked]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking every point")

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return check_points(folder, round, read_design(folder.design), show)


def _drive(folder: RoundFolder, round: Round, first: bool) -> int:
    folder = folder.go_home()
    launcher = _launcher(round)
    try:
        checked = _check(folder, round)
        ledger = Ledger(folder, round)
        for message in ledger.reconcile():
            print(message)
        ledger.enqueue(read_design(folder.design))
        _retrain_lost(folder, round, ledger)
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
    if driver.why_stopped:
        print(
            f"{driver.why_stopped}; see phoneme-sweep leaderboard {folder.path}; go on with: "
            f"{command_to_go_on(folder, round)}"
        )
        return 1
    return conclude(folder, round) if first else 0


def command_to_go_on(folder: RoundFolder, round: Round) -> str:
    """Name what goes on with a round; `run` would not say what a confirmation or probe came to."""
    if round.phase in ("confirm", "probe"):
        return f"the same phoneme-sweep {round.phase}"
    return f"phoneme-sweep run {folder.path}"


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
    if kind == "auto":
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
