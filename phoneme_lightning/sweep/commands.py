"""What each command of phoneme-sweep does."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.folder import RoundFolder, find_round
from phoneme_lightning.sweep.records import OPEN, TrialRecord, read_records
from phoneme_lightning.sweep.round import Round

__all__: list[str] = []


def _open(name: str, root: Path) -> tuple[RoundFolder, Round]:
    from phoneme_lightning.sweep.opening import load_round

    folder = find_round(name, root)
    return folder, load_round(folder)


def _records(folder: RoundFolder, round: Round) -> list[TrialRecord]:
    return read_records(folder, round.objective, round.retry.attempts)


def init(name: str, base: str) -> None:
    from phoneme_lightning.sweep.init import write_template

    path = write_template(name, base)
    print(f"{path}: now edit it, then\n  phoneme-sweep lint {path}\n  phoneme-sweep run {path}")


def run(file: Path, parallel: int | None, executor: str | None, **how: Any) -> int:
    from phoneme_lightning.sweep.opening import open_round
    from phoneme_lightning.sweep.running import check_round, run_round

    folder, round = open_round(file, check_round, **how)
    if executor is not None:
        kind = replace(round.executor, kind=executor)  # type: ignore[arg-type]
        round = replace(round, executor=kind)
    return run_round(folder, _with_parallel(round, parallel))


def worker(round: str, root: Path, proof: str | None, until: float | None, **how: Any) -> int:
    from phoneme_lightning.sweep.slurm import begin_work

    begin_work(Path(round), proof)  # what follows takes a while to load
    from phoneme_lightning.sweep.opening import with_storage
    from phoneme_lightning.sweep.running import work

    folder, known = _open(round, root)
    known = _with_parallel(with_storage(known, how["storage"]), how["parallel"])
    return work(folder, known, until)


def _with_parallel(round: Round, parallel: int | None) -> Round:
    if parallel is None:
        return round
    if parallel < 1:
        raise InputError(f"--parallel is {parallel}: give at least 1")
    return replace(round, budget=replace(round.budget, parallel=parallel))


def lint(file: Path, quick: bool) -> int:
    from phoneme_lightning.sweep.lint import lint as objections_to
    from phoneme_lightning.sweep.round_file import make_quick, read_round

    round = read_round(file)
    objections = objections_to(make_quick(round) if quick else round)
    for objection in objections:
        print(f"{objection.severity}: {objection.key}: {objection.message} [{objection.rule}]")
    errors = sum(objection.severity == "error" for objection in objections)
    print(f"{file}: {errors} errors, {len(objections) - errors} remarks")
    return 1 if errors else 0


def status(round: str, root: Path, watch: bool) -> None:
    from rich.console import Group
    from rich.live import Live

    from phoneme_lightning.sweep.progress import RoundWatch
    from phoneme_lightning.sweep.screen import make_console, progress_table
    from phoneme_lightning.sweep.slurm import describe_queue

    folder, known = _open(round, root)
    seen = RoundWatch(folder, known)
    console = make_console()

    def table() -> Group:
        running = _running(folder, known)
        shown = progress_table(seen.look(running), known, len(running))
        return Group(shown, *describe_queue(folder))

    if not watch:
        console.print(table())
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(table(), refresh=True)
            time.sleep(2)


def _running(folder: RoundFolder, round: Round) -> set[str]:
    """Ask the storage what runs; the folder tells the rest where it does not answer."""
    from phoneme_lightning.sweep.doctor import UNANSWERED
    from phoneme_lightning.sweep.ledger import Ledger

    try:
        states = Ledger(folder, round).states()
    except UNANSWERED:
        return set()
    return {trial for trial, state in states.items() if state == "running"}


def leaderboard(
    round: str | None, arms: bool, by: str | None, top: int, as_json: bool, root: Path
) -> None:
    from phoneme_lightning.sweep.leaderboard import (
        arm_rows,
        as_table,
        mixed,
        round_rows,
        title,
        trial_rows,
    )
    from phoneme_lightning.sweep.scores import name_best, project_table
    from phoneme_lightning.sweep.screen import make_console

    console = make_console()
    if round is None:
        rounds, models = round_rows(root), [vars(score) for score in project_table(root.parent)]
        if as_json:
            print(json.dumps({"rounds": rounds, "models": models}, indent=2))
            return
        console.print(as_table(rounds, "rounds", console.width))
        public = "models on the public half of a test split"
        console.print(as_table(models, public, console.width))
        print(name_best(root.parent))
        return
    folder, known = _open(round, root)
    if by is not None:
        known = replace(known, objective=replace(known.objective, selection=by))  # type: ignore[arg-type]
    records = _records(folder, known)
    rows = (arm_rows if arms else trial_rows)(records, known.objective)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    over = title(known, "the best of each arm" if arms else "")
    console.print(as_table(rows[:top], over, console.width))
    if len(rows) > top:
        print(f"and {len(rows) - top} more: --top {len(rows)}")
    for line in mixed(records):
        print(f"mixed: {line}")


def diagnose(round: str, root: Path, as_json: bool) -> int:
    from phoneme_lightning.sweep.findings.diagnose import diagnose as judge
    from phoneme_lightning.sweep.findings.diagnose import to_json, write_findings
    from phoneme_lightning.sweep.findings.evidence import read_evidence
    from phoneme_lightning.sweep.findings.show import findings_table
    from phoneme_lightning.sweep.screen import make_console

    folder, _ = _open(round, root)
    evidence = read_evidence(folder)
    findings = judge(evidence)
    write_findings(folder, findings)
    if as_json:
        print(to_json(findings), end="")
    else:
        waiting = sum(trial.state in OPEN for trial in evidence.trials)
        if waiting:
            told = f"{waiting} of {len(evidence.trials)} trials have still to run"
            print(f"{told} (phoneme-sweep status {folder.path}): this is of the others alone")
        make_console().print(findings_table(findings))
    return int(any(finding.verdict == "block" for finding in findings))


def extend(round: str, root: Path, points: int) -> None:
    from phoneme_lightning.sweep.design import read_design
    from phoneme_lightning.sweep.ledger import Ledger
    from phoneme_lightning.sweep.opening import extend as extend_round

    folder, before = _open(round, root)
    Ledger(folder, before)  # a study that is gone is told of before anything is written
    known = extend_round(folder, points)
    Ledger(folder, known).enqueue(read_design(folder.design))  # whoever runs it now goes on
    print(f"{known.name} has {points} points an arm: phoneme-sweep run {folder.path}")


def retry(round: str, root: Path, trials: list[str]) -> None:
    from phoneme_lightning.sweep.ledger import Ledger

    folder, known = _open(round, root)
    ledger = Ledger(folder, known)  # as in `extend`
    records = {record.trial: record for record in _records(folder, known)}
    chosen = trials or [name for name, record in records.items() if record.state == "failed"]
    for trial in chosen:
        if trial not in records or records[trial].state not in ("failed", "cancelled"):
            state = records[trial].state if trial in records else "not a trial of this round"
            raise InputError(f"{trial} is {state}: only a failed or cancelled trial is tried again")
    for trial in chosen:
        home = folder.trials / trial
        (home / "cancelled").unlink(missing_ok=True)
        for outcome in home.glob("attempt-*/outcome.json"):
            outcome.rename(outcome.with_name("outcome.retried.json"))
        if attempts := folder.attempts(trial):
            folder.write_json(f"trials/{trial}/retried.json", {"attempts": len(attempts)})
    ledger.requeue(chosen)
    print(f"{len(chosen)} trials wait again: phoneme-sweep run {folder.path}")


def cancel(round: str, root: Path, trials: list[str], workers: bool) -> None:
    from phoneme_lightning.sweep.ledger import Ledger
    from phoneme_lightning.sweep.slurm import cancel_workers

    folder, known = _open(round, root)
    if bool(trials) == workers:
        raise InputError("cancel takes names of trials, or --workers alone: give one of the two")
    if workers:
        back = f"phoneme-sweep run {folder.path} --executor slurm"
        print(f"{cancel_workers(folder)} workers are cancelled; their trials go on with: {back}")
        return
    ledger = Ledger(folder, known)
    records = {record.trial: record for record in _records(folder, known)}
    for trial in trials:
        if trial not in records or records[trial].state not in ("waiting", "interrupted"):
            state = records[trial].state if trial in records else "not a trial of this round"
            raise InputError(f"{trial} is {state}: only a trial that is to come can be cancelled")
    for trial in trials:
        (folder.trials / trial).mkdir(exist_ok=True)
        (folder.trials / trial / "cancelled").touch()
    ledger.cancel(trials)
    back = f"phoneme-sweep retry {folder.path} {' '.join(trials)}"
    print(f"{len(trials)} trials are cancelled; they are taken back with: {back}")


def repro(round: str, root: Path, trial: str, check: bool) -> int:
    from phoneme_lightning.sweep.leaderboard import ranked
    from phoneme_lightning.sweep.repro import differences, print_repro, repro_command, run_again

    folder, known = _open(round, root)
    folder = folder.go_home()
    records = _records(folder, known)
    order = ranked(records, known.objective)
    if trial == "best" and not order:
        raise InputError(f"no trial of {known.name} is completed: there is no best one")
    wanted = order[0].trial if trial == "best" else trial
    found = [record for record in records if record.trial == wanted]
    if not found:
        raise InputError(f"no trial {trial!r} in {known.name}: see `phoneme-sweep leaderboard`")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    out = folder.path.parent.parent / "repro" / f"{known.name}-{wanted}-{stamp}"
    command = repro_command(folder, found[0], out)
    print_repro(known, found[0], command)
    if not check:
        return 0
    if found[0].state != "completed" or found[0].folder is None:
        raise InputError(f"{wanted} is {found[0].state}: only a completed trial can be checked")
    run_again(known, command)
    differing = differences(found[0].folder, out)
    for line in differing[:10]:
        print(line)
    print(f"{wanted}: {len(differing)} values differ" if differing else f"{wanted}: all are equal")
    return 1 if differing else 0


def import_runs(folder: Path, name: str, root: Path) -> None:
    from phoneme_lightning.sweep.imports import import_runs as make_round
    from phoneme_lightning.sweep.opening import load_round
    from phoneme_lightning.sweep.rebuild import rebuild_study

    made, left_out = make_round(folder, name, root)
    rebuild_study(made, load_round(made))
    for line in left_out:
        print(f"left out: {line}")
    print(f"{made.path}: phoneme-sweep leaderboard {made.name}")


def sync(round: str, root: Path, dry_run: bool) -> int | None:
    from phoneme_lightning.sweep.report.sync import sync as upload

    folder, _ = _open(round, root)
    return upload(folder, dry_run=dry_run)


def score(run: Path, public: float, private: float | None) -> None:
    from phoneme_lightning.sweep.scores import add_score, find_run, name_best

    add_score(find_run(run), public, private)
    print(name_best())


def doctor(round: str, root: Path, rebuild_study: bool) -> int:
    folder, known = _open(round, root)
    if rebuild_study:
        from phoneme_lightning.sweep.rebuild import rebuild_study as rebuild

        rebuild(folder, known)
        print(f"the study of {known.name} is made again, from its folder")
    from phoneme_lightning.sweep.doctor import examine
    from phoneme_lightning.sweep.leaderboard import mixed

    for line in mixed(_records(folder, known)):
        print(f"mixed in one round: {line}")
    faults = examine(folder, known)
    for fault in faults:
        print(fault)
    print(f"{folder.path}: {len(faults)} fault(s)" if faults else f"{folder.path}: sound")
    return 1 if faults else 0


def export(round: str, root: Path, csv: Path | None) -> None:
    from phoneme_lightning.sweep.export import export_csv

    folder, _ = _open(round, root)
    text = export_csv(folder)
    if csv is None:
        print(text, end="")
        return
    try:
        csv.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--csv is {csv}, which cannot be written: {error.strerror}") from error
    print(csv)


def submit(run: Path, competition: str | None, message: str) -> None:
    from phoneme_lightning.sweep.kaggle import COMPETITION
    from phoneme_lightning.sweep.kaggle import submit as upload
    from phoneme_lightning.sweep.scores import find_run, name_best

    public = upload(find_run(run), competition or COMPETITION, message)
    print(f"public score: {public}")
    print(name_best())


def dashboard(round: str, root: Path, port: int) -> int:
    from phoneme_lightning.sweep.dashboard import serve

    return serve(*_open(round, root), port=port)


def plan(file: Path, quick: bool, root: Path) -> None:
    from phoneme_lightning.sweep.plan import plan as print_plan

    print_plan(file, quick, root)
