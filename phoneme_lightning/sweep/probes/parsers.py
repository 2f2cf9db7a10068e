"""The commands of probes, as the command line takes them."""

import argparse

from phoneme_lightning.sweep.command_line import AddCommand, add_root

__all__ = ["add_commands"]


def add_commands(command: AddCommand, on_round: AddCommand) -> None:
    """Add them.

    Args:
        command: adds a command, given its name and what it does.
        on_round: the same for one that takes a round.
    """
    probe = command("probe", "Find a limit by short runs: batch, lr, warmup or steps.")
    kinds = probe.add_subparsers(required=True, metavar="KIND")

    def kind(name: str, description: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = kinds.add_parser(
            name, help=description, description=description
        )
        added.set_defaults(command=(f"{__package__}.commands", f"probe_{name}"))
        added.add_argument(
            "subject",
            nargs="+",
            metavar="CONFIG|ROUND",
            help="configs as for phoneme-cli, further down wins; or a round: its name, folder or "
            "file, whose best trial is taken",
        )
        added.add_argument(
            "--set",
            dest="sets",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="set a key of phoneme-cli over that, such as data.frames_per_batch=4000; may be "
            "given several times",
        )
        add_root(added)
        return added

    def parallel(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--parallel", type=int, metavar="N", help="trials at once (default: as many as fit)"
        )

    batch = kind("batch", "Find the batch size above which training gets no faster.")
    batch.add_argument(
        "--most",
        type=int,
        metavar="FRAMES",
        help="largest size to try (default: what memory or the corpus allows)",
    )
    batch.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        help="to measure each size for (default: %(default)s)",
    )
    batch.add_argument("--threads", type=int, help="CPU threads (default: as a fit here would)")

    lr = kind("lr", "Find whether training is stable above the best learning rate.")
    lr.add_argument("--lr", type=float, metavar="RATE", help="the best one (default: its own)")
    lr.add_argument(
        "--steps", type=int, default=500, help="optimizer steps of a trial (default: %(default)s)"
    )
    parallel(lr)

    warmup = kind("warmup", "Find the shortest warmup that keeps a high learning rate stable.")
    warmup.add_argument(
        "--unstable",
        type=float,
        metavar="RATE",
        help="learning rate at which training is unstable (default: what `probe lr` found)",
    )
    warmup.add_argument(
        "--times",
        type=float,
        default=10.0,
        help="how many times that rate to train with (default: %(default)g)",
    )
    warmup.add_argument(
        "--steps",
        type=int,
        help="steps of a whole training, a tenth of which is the longest warmup (default: its own)",
    )
    parallel(warmup)

    steps = kind("steps", "Find how many steps it takes to fit the training set perfectly.")
    steps.add_argument("--steps", type=int, help="at most (default: its own)")
    steps.add_argument(
        "--rates",
        type=float,
        nargs="+",
        metavar="RATE",
        help="learning rates (default: five around its own, each about three times the last)",
    )
    steps.add_argument(
        "--fit",
        type=float,
        default=0.99,
        metavar="SHARE",
        help="training accuracy that counts as a perfect fit (default: %(default)s)",
    )
    steps.add_argument(
        "--utterances",
        type=int,
        metavar="N",
        help="of the training set, the first N alone, where all of it takes too long",
    )
    parallel(steps)
