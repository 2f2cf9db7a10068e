"""A parser whose complaints are one line that names the key and what it may have been."""

import inspect
import re
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

import yaml
from lightning.pytorch.cli import LightningArgumentParser

from phoneme_lightning import models
from phoneme_lightning.errors import InputError

__all__ = ["PhonemeParser", "named_checkpoint", "parse_over"]

UNKNOWN = re.compile(
    r"unrecognized arguments: --(?P<flag>[\w.]+)|does not accept option '(?P<key>[\w.]+)'"
    r"|[Oo]ption '(?P<option>\w+)' is not accepted"
)


class PhonemeParser(LightningArgumentParser):
    """Lightning's parser, but it raises one readable line in place of a page.

    A key cut short is refused, not completed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the complaint, for `run_command` to print.

        Raises:
            InputError: always.
        """
        line = " ".join(message.split())
        line = re.sub(r'Parser key "([^"]+)":', r"\1:", line)
        line = re.sub(r"<class '(\w+)'>", r"\1", line).replace("typing.", "")
        unknown = UNKNOWN.search(line)
        if unknown:
            line += self._suggest(unknown["flag"] or unknown["key"] or unknown["option"])
        raise InputError(line) from ex

    def _suggest(self, key: str) -> str:
        # Another class may take the very same key: to say it again would be no help.
        close = get_close_matches(key, self._keys() - {key}, n=2)
        if close:
            return f": did you mean {' or '.join(close)}?"
        return ": see phoneme-cli fit --help, or --model.backbone.help CLASS for a class's keys"

    def _keys(self) -> set[str]:
        """Give all that a person may have meant: dotted keys, and what the backbones take."""
        parsers = [self, *getattr(self._subcommands_action, "choices", {}).values()]
        options = {option for parser in parsers for option in parser._option_string_actions}
        classes = (getattr(models, name) for name in models.__all__)
        taken = {name for kind in classes for name in inspect.signature(kind).parameters}
        return {option.removeprefix("--") for option in options} | taken


def named_checkpoint(arguments: Sequence[str]) -> str | None:
    """Give what `--ckpt_path` says on a command line, before the whole of it can be parsed."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--ckpt_path", nargs="?")
    found: str | None = parser.parse_known_args(arguments)[0].ckpt_path
    return found


def parse_over(
    parser: LightningArgumentParser,
    record: dict[str, Any],
    subcommand: str,
    arguments: Sequence[str],
) -> Any:
    """Parse with the config of a checkpoint first: all that was given overrides it.

    Args:
        parser: of all subcommands.
        record: of the checkpoint, as `read_record` gives it.
        subcommand: the one that is asked for; all but fit take from a config what they score.
        arguments: the command line.

    Returns:
        The parsed settings.

    Raises:
        InputError: a setting is refused.
    """
    stored = {**record["config"], "run": {**record["config"]["run"]}}
    stored["run"].pop("folder")
    if subcommand != "fit":
        stored = {key: stored[key] for key in ("seed_everything", "model", "data", "trainer")}
        stored["trainer"] = {"precision": stored["trainer"]["precision"]}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({subcommand: stored}, file)
        file.flush()
        return parser.parse_args(["--config", file.name, *arguments])
