"""The commands of drafts, as the command line takes them."""

import argparse

from phoneme_lightning.sweep.command_line import AddCommand

__all__ = ["add_commands"]


def add_commands(command: AddCommand, on_round: AddCommand) -> None:
    """Add them.

    Args:
        command: adds a command, given its name and what it does.
        on_round: the same for one that takes a round.
    """

    def drafts(name: str, description: str) -> argparse.ArgumentParser:
        added = on_round(name, description)
        added.add_argument("--name", help="of the new round (default: counted on, or a suffix)")
        return added

    following = drafts("next-round", "Draft the round that follows, from what a round taught.")
    following.add_argument("--arm", help="to go on with, where several may be the best")
    following.add_argument(
        "--ask",
        action="append",
        default=[],
        metavar="KEY=[A,B]",
        help="what to ask about next, once the round's own question is answered",
    )
    following.add_argument("--question", help="the same as a sentence")
    following.add_argument(
        "--steps", type=int, metavar="N", help="of its trials (default: as the findings say)"
    )

    last = drafts("exploit", "Draft a last round: the good region, searched greedily.")
    last.add_argument(
        "--points", type=int, default=20, metavar="N", help="trials (default: %(default)s)"
    )
    last.add_argument(
        "--sampler",
        choices=("auto", "gp", "tpe"),
        default="auto",
        help="who proposes (default: gp where it can, else tpe)",
    )

    longer = drafts("lengthen", "Draft a round of few long fits of a round's best points.")
    longer.add_argument("--to", type=int, required=True, metavar="STEPS", help="of its trials")
    longer.add_argument(
        "--points", type=int, default=3, metavar="N", help="best points (default: %(default)s)"
    )
