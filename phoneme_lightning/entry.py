"""phoneme-cli: answers at once what needs no net, and loads PyTorch for the rest."""

import atexit
import gc
import os
import sys
import threading
from argparse import Namespace, _SubParsersAction
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from typing import NoReturn

from phoneme_lightning.errors import CommandParser, InputError, run_command
from phoneme_lightning.runtime import set_environment

__all__ = ["build_parser", "main"]

NETS = {
    "fit": "Train; leave weights, metrics and pictures in a folder of the run.",
    "validate": "Score the validation split.",
    "test": "Score the test split where it has labels, else the validation split; predict it.",
    "predict": "Write prediction.csv.",
}
"""What `PhonemeCLI` does, in its words."""

OTHERS = ("ensemble", "transcribe", "export")
"""What loads PyTorch too, but is not LightningCLI's."""


def main() -> NoReturn:
    """Run the command `phoneme-cli` and leave the process."""
    try:
        run_command(_run)
    except SystemExit as leaving:
        is_watched = sys.getprofile() or sys.gettrace()  # by who writes at the end what was seen
        if "torch" in sys.modules and isinstance(leaving.code, int | None) and not is_watched:
            _leave(leaving.code or 0)
        raise
    finally:
        gc.unfreeze()  # what is frozen while Python takes it apart complains of it


def _run() -> int | None:
    # Half a million objects are loaded that stay: to look for garbage among them takes a second.
    gc.disable()
    if _needs_net(sys.argv[1:]):
        return _run_net()
    arguments = build_parser().parse_args()
    if arguments.subcommand is None:
        raise InputError(f"subcommand is missing: give {', '.join((*NETS, *OTHERS))} or info")
    set_environment()
    if arguments.subcommand == "ensemble":
        _run_ensemble(arguments)
    elif arguments.subcommand == "transcribe":
        return _run_transcribe(arguments)
    elif arguments.subcommand == "export":
        _run_export(arguments)
    else:
        from phoneme_lightning.training.info import info

        info(arguments.as_json)
    return 0


def _needs_net(words: Sequence[str]) -> bool:
    """Tell whether LightningCLI must answer: not for the bare help, info and what is no command."""
    if not words or not words[0].startswith("-"):
        return words[:1] != [] and words[0] in NETS
    return {"-h", "--help"}.isdisjoint(takewhile(lambda word: word not in NETS, words))


def _keep_what_is_loaded() -> None:
    """Look for garbage from now on, but not among what a command has loaded."""
    gc.freeze()
    gc.enable()


def _run_net() -> int | None:
    """Run a subcommand of `PhonemeCLI`; give its exit code."""
    set_environment()
    from phoneme_lightning.cli import run

    _keep_what_is_loaded()
    try:
        return run()
    except SystemExit as leaving:  # after its help, for one; `run_command` has still to flush
        if isinstance(leaving.code, int | None):
            return leaving.code
        raise


def _run_ensemble(arguments: Namespace) -> None:
    from phoneme_lightning.inference.ensemble import ensemble
    from phoneme_lightning.training.run import exit_on_sigterm, show_on_screen

    _keep_what_is_loaded()
    show_on_screen()
    exit_on_sigterm()
    ensemble(
        arguments.checkpoints,
        weights=arguments.weights,
        decode=arguments.decode,
        out=arguments.out,
        root=arguments.root,
    )


def _run_transcribe(arguments: Namespace) -> int:
    from phoneme_lightning.inference.transcribe import transcribe
    from phoneme_lightning.training.run import exit_on_sigterm

    _keep_what_is_loaded()
    exit_on_sigterm()
    return transcribe(
        arguments.words,
        formats=arguments.formats or ["textgrid"],
        out=arguments.out,
        phones=arguments.phones,
        plot=arguments.plot,
        overwrite=arguments.overwrite,
    )


def _run_export(arguments: Namespace) -> None:
    from phoneme_lightning.inference.export.folder import export
    from phoneme_lightning.training.run import exit_on_sigterm, show_on_screen

    _keep_what_is_loaded()
    show_on_screen()
    exit_on_sigterm()
    export(arguments.checkpoint, out=arguments.out, onnx=arguments.onnx)


class _IntermixedParser(CommandParser):
    """A parser of words with options anywhere between them, as in `a.ckpt --plot talk.wav`."""

    _is_inside = False  # argparse's way to intermix calls the plain one twice

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        """Parse as `parse_known_intermixed_args` does."""
        if self._is_inside:
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False


def build_parser() -> CommandParser:
    """Build the parser of what needs no LightningCLI, the bare help, and mistyped subcommands."""
    names = ",".join((*NETS, *OTHERS, "info"))
    parser = CommandParser(
        prog="phoneme-cli",
        usage=f"%(prog)s [-h] [-c CONFIG] [--print_config [=flags]] {{{names}}} ...",
        description="Fit a phoneme classifier; score it; predict with it.",
        epilog="--debug, anywhere, shows the traceback of an error.",
    )
    parser.add_argument(
        *("-c", "--config"), help="Path to a configuration file in json or yaml format."
    )
    parser.add_argument(
        "--print_config",
        metavar="=flags",
        nargs="?",
        help="Print the configuration after applying all other arguments and exit.",
    )
    commands = parser.add_subparsers(
        title="subcommands",
        description="For more details of each subcommand, add it as an argument followed by "
        "--help.",
        dest="subcommand",
        prog="phoneme-cli",
        parser_class=_IntermixedParser,
    )
    for name, text in NETS.items():
        commands.add_parser(name, help=text)
    _add_ensemble(commands)
    _add_transcribe(commands)
    _add_export(commands)
    text = "Say what runs on this machine: device, precision, fast paths."
    info = commands.add_parser("info", help=text, description=text)
    info.add_argument("--json", dest="as_json", action="store_true", help="print a JSON object")
    return parser


def _add_ensemble(commands: "_SubParsersAction[_IntermixedParser]") -> None:
    text = "Average nets, or decode one: score validation, predict the test split."
    parser = commands.add_parser("ensemble", help=text, description=text)
    parser.add_argument(
        "checkpoints",
        metavar="CKPT",
        nargs="+",
        help="weights of fits on one corpus and one data.split; each brings its own config",
    )
    parser.add_argument(
        "--decode",
        action="store_true",
        help="find the likeliest path through each utterance too, by the phones that follow one "
        "another in the training labels; its files go to FOLDER/decoded",
    )
    parser.add_argument(
        "--weight",
        dest="weights",
        metavar="W",
        nargs="+",
        type=float,
        help="what each net counts in the mean (default: all the same)",
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="where everything goes (default: a folder of its own in runs/ensemble)",
    )
    parser.add_argument(
        "--data.root",
        dest="root",
        metavar="FOLDER",
        help="folder of the frame stores (default: that of each fit)",
    )


def _add_transcribe(commands: "_SubParsersAction[_IntermixedParser]") -> None:
    text = "Say which phones recordings hold, and when."
    parser = commands.add_parser("transcribe", help=text, description=text)
    parser.add_argument(
        "words",
        metavar="CKPT|SOUND",
        nargs="+",
        help="weights of fits, each ending in .ckpt (several are averaged); then recordings, "
        "folders of them, or - for a wav file on standard input, whose transcript goes to "
        "standard output",
    )
    parser.add_argument(
        "--format",
        dest="formats",
        action="append",
        choices=["textgrid", "ctm", "json", "csv"],
        help="what to write (default: textgrid, which Praat opens); may be given several times",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="where transcripts go (default: transcripts)"
    )
    parser.add_argument(
        "--phones",
        metavar="FILE",
        help="what decodes (default: phones.json beside the first weights, where `ensemble "
        "--decode` leaves it)",
    )
    parser.add_argument(
        "--plot",
        action="store_true",
        help="draw spectrogram, phones and their probabilities, of 20 seconds at most",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="write over transcripts that are there"
    )


def _add_export(commands: "_SubParsersAction[_IntermixedParser]") -> None:
    text = "Write a net as a folder that works without this package: ONNX, safetensors, JSON."
    parser = commands.add_parser("export", help=text, description=text)
    parser.add_argument("checkpoint", metavar="CKPT", help="weights of a fit")
    parser.add_argument(
        "--out", metavar="FOLDER", help="where it goes (default: export, in the run's folder)"
    )
    parser.add_argument(
        "--no-onnx",
        dest="onnx",
        action="store_false",
        help="leave out the ONNX graph, and what it needs to be installed",
    )


def _leave(code: int) -> NoReturn:
    """Leave as multiprocessing's processes do: to take apart what is loaded takes a second."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
