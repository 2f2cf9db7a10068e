"""phoneme-sweep: rounds of tuning, from a file under sweeps/ to a leaderboard."""

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from phoneme_lightning.errors import CommandParser, InputError, run_command
from phoneme_lightning.sweep.command_line import AddCommand, add_root
from phoneme_lightning.sweep.decisions.parsers import add_commands as add_decisions
from phoneme_lightning.sweep.drafts.parsers import add_commands as add_drafts
from phoneme_lightning.sweep.probes.parsers import add_commands as add_probes
from phoneme_lightning.sweep.report.parsers import add_commands as add_report

__all__ = ["main"]

ROOMS: Mapping[str, Callable[[AddCommand, AddCommand], None]] = {
    "report": add_report,
    "decisions": add_decisions,
    "drafts": add_drafts,
    "probes": add_probes,
}
"""Folder -> who adds its commands, given how to add one, and one that takes a round."""


def main() -> NoReturn:
    """Run the command `phoneme-sweep` and leave the process."""
    run_command(_run)


def _run() -> int | None:
    arguments = vars(build_parser().parse_args())
    module, name = arguments.pop("command")
    command: Callable[..., int | None] = getattr(import_module(module), name)
    try:
        return command(**arguments)
    except Exception as error:
        # Who opened a storage has it.
        storage = sys.modules.get("phoneme_lightning.sweep.storage_patient")
        if storage and isinstance(error, storage.DATABASE_ERRORS):
            raise InputError(f"the storage does not answer: {storage.say_fault(error)}") from error
        raise


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; each command's function, in a module `commands`, bears its name."""
    parser = CommandParser(
        prog="phoneme-sweep",
        description="Tune by Google's tuning playbook: rounds that are designed, run, resumed and "
        "recorded.",
        epilog="A ROUND is its name, its folder under runs/rounds, or its file. "
        "`plan` and `run` take the folder of a round that has begun for its FILE. "
        "--debug, anywhere, shows the traceback of an error.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, description: str, room: str = "") -> CommandParser:
        added: CommandParser = commands.add_parser(name, help=description, description=description)
        module = ".".join(part for part in (__package__, room, "commands") if part)
        added.set_defaults(command=(module, name.replace("-", "_")))
        return added

    def on_round(name: str, description: str, room: str = "") -> CommandParser:
        added = command(name, description, room)
        added.add_argument("round", metavar="ROUND", help="its name, folder or file")
        add_root(added)
        return added

    def on_file(name: str, description: str) -> CommandParser:
        added = command(name, description)
        added.add_argument("file", type=Path, metavar="FILE", help="such as sweeps/lr_round1.yaml")
        added.add_argument(
            "--quick", action="store_true", help="cut it to a demonstration: no evidence"
        )
        return added

    init = command("init", "Write a round file with a comment on every key.")
    init.add_argument("name", metavar="NAME", help="of the round: the file is sweeps/NAME.yaml")
    init.add_argument(
        "--base", default="configs/rnn.yaml", help="config to start from (default: %(default)s)"
    )

    on_file("lint", "Say what the playbook would object to in a round file.")

    plan = on_file("plan", "Say what a round would train, and how long it takes; train nothing.")
    add_root(plan)

    run = on_file("run", "Run a round, or what is left of it.")
    run.add_argument(
        "--fork",
        action="store_true",
        help="where the file has changed since the round began, begin a new one beside it",
    )
    at_once = "trials at once on this machine (default: budget.parallel of the file)"
    run.add_argument("--parallel", type=int, metavar="N", help=at_once)
    where = (
        "where the study is, in place of storage.url of the file: a URL without its password, "
        "env:NAME or file:PATH"
    )
    run.add_argument("--storage", metavar="URL", help=where)
    run.add_argument(
        "--executor",
        choices=("auto", "fork", "subprocess", "slurm"),
        help="how trials run, in place of executor.kind of the file",
    )
    add_root(run)

    worker = on_round("worker", "Help to run a round that has begun, from any machine.")
    worker.add_argument("--parallel", type=int, metavar="N", help=at_once)
    worker.add_argument("--storage", metavar="URL", help=where)
    worker.add_argument(
        "--proof",
        metavar="FILE",
        help="leave at once if ROUND, a folder, lacks this file: it is another machine's copy",
    )
    worker.add_argument(
        "--until",
        type=float,
        metavar="SECONDS",
        help="begin no trial after this time, in seconds since 1970, in place of budget.total_time",
    )

    status = on_round("status", "Show how a round stands.")
    status.add_argument("--watch", action="store_true", help="and keep showing it")

    leaderboard = command("leaderboard", "Rank the trials of a round, or list rounds and models.")
    leaderboard.add_argument("round", metavar="ROUND", nargs="?", help="its name, folder or file")
    leaderboard.add_argument("--arms", action="store_true", help="the best trial of each arm only")
    leaderboard.add_argument(
        "--by", choices=("best", "final", "last"), help="rank by this in place of the round's own"
    )
    leaderboard.add_argument(
        "--top", type=int, default=20, metavar="N", help="trials shown (default: %(default)s)"
    )
    leaderboard.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    add_root(leaderboard)

    diagnose = on_round("diagnose", "Judge a round: what it shows, and whether to believe it.")
    diagnose.add_argument("--json", dest="as_json", action="store_true", help="print JSON")

    for room, add_commands in ROOMS.items():
        add_commands(partial(command, room=room), partial(on_round, room=room))

    extend = on_round("extend", "Give a round more points; those that it has stay as they are.")
    extend.add_argument(
        "--points", type=int, required=True, metavar="K", help="points an arm, in all"
    )

    retry = on_round("retry", "Let failed trials run again.")
    retry.add_argument("trials", nargs="*", metavar="TRIAL", help="by default all that failed")

    cancel = on_round("cancel", "Take trials out of a round, or its workers out of SLURM's queue.")
    cancel.add_argument("trials", nargs="*", metavar="TRIAL", help="name of a trial")
    cancel.add_argument(
        "--workers", action="store_true", help="its workers in SLURM; trials can go on later"
    )

    repro = on_round("repro", "Print the one command that repeats a trial.")
    repro.add_argument("trial", metavar="TRIAL", help="its name; best for the best one")
    repro.add_argument(
        "--check", action="store_true", help="run it, and compare every metric with the recorded"
    )

    export = on_round("export", "Write a round as a table.")
    export.add_argument("--csv", type=Path, metavar="OUT", help="file to write (default: print)")

    imports = command("import-runs", "Make a round of fits that were run one by one.")
    imports.add_argument(
        "folder", type=Path, metavar="DIR", help="folder with runs somewhere in it"
    )
    imports.add_argument("--name", default="imported", help="of the round (default: %(default)s)")
    add_root(imports)

    doctor = on_round("doctor", "Examine a round: its folder, its storage, its workers.")
    doctor.add_argument(
        "--rebuild-study", action="store_true", help="make the Optuna study again from the folder"
    )

    dashboard = on_round("dashboard", "Open the round's study in optuna-dashboard, to read.")
    dashboard.add_argument("--port", type=int, default=8080, help="(default: %(default)s)")

    sync = on_round("sync", "Upload to W&B what was tracked offline.")
    sync.add_argument("--dry-run", action="store_true", help="only say what would be uploaded")

    run_help = "folder of the run, or round/trial"
    score = command("score", "Record a score that a run got elsewhere.")
    score.add_argument("run", type=Path, metavar="RUN", help=run_help)
    score.add_argument("--public", type=float, required=True, help="public score, such as 0.83")
    score.add_argument("--private", type=float, help="private score")

    submit = command("submit", "Submit a run's prediction.csv to Kaggle; wait for its score.")
    submit.add_argument("run", type=Path, metavar="RUN", help=run_help)
    submit.add_argument(
        "--competition", help="its slug on Kaggle (default: the course's of spring 2023)"
    )
    submit.add_argument("--message", default="", help="description of the submission")
    return parser
