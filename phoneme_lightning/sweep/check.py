"""Every point through phoneme-cli's own parser before anything trains: a typo costs nothing."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from phoneme_lightning import __version__
from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.constraints import violated
from phoneme_lightning.sweep.design import Arm, Row, active_spaces, arms
from phoneme_lightning.sweep.folder import RoundFolder, write_atomically
from phoneme_lightning.sweep.overrides import base_settings, overrides
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.spaces import Categorical

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser
    from lightning.pytorch.cli import LightningArgumentParser

__all__ = ["Checked", "check_points", "probe", "probes", "resolve"]


@dataclass(frozen=True)
class Checked:
    """What phoneme-cli makes of a trial's settings."""

    parameters: int
    """Weights of the net."""

    config: dict[str, Any]
    """The whole config as the parser resolved it, nested."""


def check_points(
    folder: RoundFolder,
    round: Round,
    rows: Sequence[Row],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Checked]:
    """Parse each arm, each corner of its space, then every point; build each net without memory.

    What was parsed once is remembered in the folder's checked.json, by a hash of the overrides
    and of the base configs.

    Args:
        folder: of the round; it holds the base configs.
        round: the round.
        rows: its trials; none yet in an exploit round.
        progress: told how many of how many are done.

    Returns:
        What became of each row, by its trial's name.

    Raises:
        InputError: phoneme-cli would refuse a trial, or a constraint is about a key that it has
            not; it names the trial, the key and the value.
    """
    memory = folder.path / "checked.json"
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    configs = folder.base_configs()
    base = base_settings(configs)
    begin = __version__ + "".join(config.read_text(encoding="utf-8") for config in configs)
    found: dict[str, Checked] = {}
    checker: _Checker | None = None
    wanted = [*probes(round), *rows]
    for done, row in enumerate(wanted, start=1):
        settings = overrides(round, row, base)
        text = json.dumps(settings, sort_keys=True, default=str)
        key = hashlib.sha256((begin + text).encode()).hexdigest()
        if key not in known:
            checker = checker or _Checker(configs)
            said = asdict(checker.check(_name(row), settings))
            known[key] = json.loads(json.dumps(said, default=str))  # as it will be remembered
        found[row.trial] = Checked(**known[key])
        try:
            violated(round.constraints, found[row.trial].config, found[row.trial].parameters)
        except InputError as error:
            raise InputError(f"{_name(row)}: {error}") from error
        if progress:
            progress(done, len(wanted))
    if checker:
        write_atomically(memory, json.dumps(known))
    return {row.trial: found[row.trial] for row in rows}


def resolve(configs: Sequence[Path], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the whole config that phoneme-cli makes of files and overrides, as it would write it.

    Args:
        configs: config files; further down wins.
        settings: overrides, nested.

    Raises:
        InputError: phoneme-cli would refuse them.
    """
    return _Checker(configs).whole(dict(settings))


def probes(round: Round) -> Iterator[Row]:
    """Give what is parsed before the points: the middle of each arm's space, and its corners.

    The parser looks at one key after the other, so two opposite corners and each choice once show
    all that the other corners would. The points of a list have no space around them.
    """
    if round.sampler.kind == "list":
        return
    for arm in arms(round):
        middle = probe(round, arm)
        yield middle
        yield probe(round, arm, "in the lowest corner of its space", 0.0)
        yield probe(round, arm, "in the highest corner of its space", 1.0)
        for key, space in active_spaces(round, arm, middle.values).items():
            for choice in space.choices if isinstance(space, Categorical) else ():
                yield probe(round, arm, f"where {key} is {choice}", given={key: choice})


def probe(
    round: Round,
    arm: Arm,
    place: str = "in the middle of its space",
    coordinate: float = 0.5,
    given: Mapping[str, Any] | None = None,
) -> Row:
    """Give a row that is no trial: all of an arm's hyperparameters at one coordinate.

    Args:
        round: the round.
        arm: the arm.
        place: where that is, for a complaint.
        coordinate: 0 is every lower bound, 1 every upper one.
        given: values of some keys.
    """
    values = {**arm.values, **(given or {})}
    values |= {key: bucket.at(coordinate) for key, bucket in arm.ranges.items()}
    while missing := active_spaces(round, arm, values).keys() - values.keys():
        spaces = active_spaces(round, arm, values)
        values |= {key: space.at(coordinate) for key, space in spaces.items() if key in missing}
    return Row(f"arm {arm.name}, {place}", arm.name, -1, round.seeds[0], values)


def _name(row: Row) -> str:
    return f"trial {row.trial}" if row.point >= 0 else row.trial


@cache
def _fit_parser() -> "LightningArgumentParser":
    # What Lightning calls is deprecated in jsonargparse; phoneme-cli does not speak of it either.
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    from phoneme_lightning.cli import PhonemeCLI

    class ParserOnly(PhonemeCLI):
        """Builds the parser of `phoneme-cli fit`, and neither parses nor seeds nor builds."""

        @staticmethod
        def subcommands() -> dict[str, set[str]]:
            return {"fit": PhonemeCLI.subcommands()["fit"]}

        def parse_arguments(self, parser: Any, args: Any) -> None:
            self.config = {"subcommand": None}

        def _parse_ckpt_path(self) -> None:
            pass

        def _set_seed(self) -> None:
            pass

        def instantiate_classes(self) -> None:
            pass

    parser: LightningArgumentParser = ParserOnly([])._subcommand_parsers["fit"]
    return parser


class _Checker:
    """phoneme-cli's parser with the base configs read, for one point after the other."""

    def __init__(self, configs: Sequence[Path]) -> None:
        import jsonargparse
        from lightning.pytorch.cli import OptimizerCallable

        from phoneme_lightning.training.classifier import PhonemeClassifier

        self.parser = _fit_parser()
        try:
            self.base = self.parser.parse_args([f"--config={path}" for path in configs])
        except InputError as error:
            raise InputError(f"base {' '.join(path.name for path in configs)}: {error}") from None
        self.nets = jsonargparse.ArgumentParser(exit_on_error=False)
        self.nets.add_class_arguments(PhonemeClassifier, "model")
        self.optimizers = jsonargparse.ArgumentParser(exit_on_error=False)
        self.optimizers.add_argument("--optimizer", type=OptimizerCallable)
        self.parameters: dict[str, int] = {}

    def check(self, name: str, settings: dict[str, Any]) -> Checked:
        """Parse overrides, count the weights, and make the optimizer.

        Args:
            name: of the trial, for a complaint.
            settings: its overrides, nested.

        Raises:
            InputError: it names the trial, and the key where one alone is to blame.
        """
        try:
            return self._check(settings)
        except Exception as error:  # whatever a class answers to values that it cannot use
            blamed = self._blame(settings)
            raise InputError(f"{name}: {blamed}{' '.join(str(error).split())}") from error

    def _parse(self, settings: dict[str, Any]) -> Any:
        # The parser makes namespaces of what it is given, in place. Defaults stand in the base, and
        # a changed class comes whole; to look them up again takes a third of the time.
        return self.parser.parse_object(
            deepcopy(settings), namespace=self.base.clone(), defaults=False
        )

    def whole(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Give the whole config as a fit writes it: without what follows from other keys."""
        parsed = self._parse(settings)
        parsed.pop("config", None)
        written = self.parser.dump(parsed, skip_unset=False, skip_validation=True)
        config: dict[str, Any] = yaml.safe_load(written)
        return config

    def _check(self, settings: dict[str, Any]) -> Checked:
        import torch

        from phoneme_lightning.models.cost import count_parameters

        parsed = self._parse(settings)
        net = parsed.model.clone()
        optimizer = net.pop("optimizer")
        text = str(net)
        if text not in self.parameters:
            with torch.device("meta"):
                built = _instantiate(self.nets, model=parsed.model)
            self.parameters[text] = count_parameters(built)
        make = _instantiate(self.optimizers, optimizer=optimizer)
        make([torch.nn.Parameter(torch.zeros(1))])
        config = parsed.as_dict()
        config.pop("config", None)
        return Checked(self.parameters[text], config)

    def _blame(self, settings: dict[str, Any]) -> str:
        """Find the key without which the rest would pass."""
        for path, value in _leaves(settings):
            try:
                self._check(_without(settings, path))
            except Exception:
                continue
            return f"{'.'.join(path)} is {value!r}: "
        return ""


def _instantiate(parser: "ArgumentParser", **one: Any) -> Any:
    from jsonargparse import Namespace

    [built] = vars(parser.instantiate(Namespace(**one))).values()  # type: ignore[no-untyped-call]
    return built


def _leaves(
    settings: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _without(settings: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {key: value for key, value in settings.items() if key != first}
    return {**settings, first: _without(settings[first], tuple(rest))}
