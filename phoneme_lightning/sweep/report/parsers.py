"""The commands that show a round, as the command line takes them."""

from phoneme_lightning.sweep.command_line import AddCommand

__all__ = ["add_commands"]


def add_commands(command: AddCommand, on_round: AddCommand) -> None:
    """Add them.

    Args:
        command: adds a command, given its name and what it does.
        on_round: the same for one that takes a round.
    """
    report = on_round("report", "Write a round as one page of HTML: report.html in its folder.")
    report.add_argument(
        "--wandb",
        action="store_true",
        help="give it to the round's W&B run too, and describe a W&B Report: wandb_report.json",
    )
    publish = on_round("publish", "Build the W&B Report that `report --wandb` described.")
    publish.add_argument("--entity", help="W&B user or team that has the runs (default: your own)")
    publish.add_argument("--project", help="W&B project that has them (default: the round's)")
