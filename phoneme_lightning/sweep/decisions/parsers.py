"""The commands of decisions, as the command line takes them."""

from phoneme_lightning.sweep.command_line import AddCommand, add_root

__all__ = ["add_commands"]


def add_commands(command: AddCommand, on_round: AddCommand) -> None:
    """Add them.

    Args:
        command: adds a command, given its name and what it does.
        on_round: the same for one that takes a round.
    """
    text = "Set two rounds, arms, trials or fits side by side, each at its best."
    compare = command("compare", text)
    what = (
        "ROUND, ROUND:ARM or ROUND:TRIAL (a round's name or folder), a trial's folder, or a run's: "
        "one, or a folder of several that differ in their seed alone"
    )
    compare.add_argument("a", metavar="A", help=what)
    compare.add_argument(
        "b",
        metavar="B",
        nargs="?",
        help="likewise; measured by A's objective (default: all other arms of the round A, beside "
        "the arm that A names, or else the first)",
    )
    compare.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    add_root(compare)

    confirm = on_round("confirm", "Train a candidate and a baseline again, with fresh seeds.")
    confirm.add_argument("--candidate", metavar="TRIAL|ARM", help="(default: the best trial)")
    confirm.add_argument(
        "--baseline",
        metavar="TRIAL|ARM|CONFIG",
        help="another of them, or a config file (default: the round's base configs and overrides, "
        "nothing searched)",
    )
    confirm.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="pairs at first (default: %(default)s)"
    )
    confirm.add_argument(
        "--min-gain",
        type=float,
        default=0.0,
        metavar="X",
        help="gain that is not worth a change (default: %(default)s)",
    )
    confirm.add_argument("--steps", type=int, metavar="N", help="train both so long")
    confirm.add_argument("--name", help="of the confirm round (default: ROUND-confirm)")
    confirm.add_argument(
        "--parallel", type=int, metavar="N", help="trials at once (default: the round's)"
    )

    promote = on_round("promote", "Write a winner as a config of its own, and why it is one.")
    promote.add_argument("--trial", help="(default: what was confirmed, else the round's best)")
    promote.add_argument("--name", help="of the config: configs/NAME.yaml (default: the round's)")
    promote.add_argument(
        "--because", metavar="WHY", help="in spite of findings that block, or unconfirmed"
    )

    test = command("test", "Open the private half of the test split for a promoted config.")
    test.add_argument("what", metavar="CONFIG|ROUND", help="what was promoted, or its round")
    test.add_argument("--yes", action="store_true", help="look again")
    add_root(test)
