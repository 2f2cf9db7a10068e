"""What is probed: configs of phoneme-cli, or the best trial of a round."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phoneme_lightning.corpora.choose import choose_store
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.design import Row
from phoneme_lightning.sweep.folder import RoundFolder, find_round
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.leaderboard import ranked
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.overrides import base_settings, overrides
from phoneme_lightning.sweep.records import read_records
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_file import parse_round
from phoneme_lightning.sweep.yaml12 import load_yaml

__all__ = ["Subject", "find_subject"]


@dataclass(frozen=True)
class Subject:
    """What is probed."""

    name: str
    """Of the config, or of the round."""

    configs: Sequence[Path]
    """Config files; further down wins."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted key of phoneme-cli -> value, over the configs."""

    threads: int | None = None
    """CPU threads of a trial of its round."""

    parent: str | None = None
    """The round that it comes from."""

    words: str = ""
    """What names it on the command line."""

    def get(self, key: str, default: Any = None) -> Any:
        """Give the value of a dotted key."""
        everything = {**flatten(base_settings(self.configs)), **self.settings}
        return everything.get(key, default)

    def number(self, key: str) -> float:
        """Give the value of a dotted key.

        Raises:
            InputError: it has none, or no number above 0.
        """
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise InputError(
                f"{key} is {'missing' if value is None else repr(value)}: say --set {key}=VALUE"
            )
        return value

    def steps(self, given: int | None) -> int:
        """Give the steps of a whole training: those that were asked for, or its own."""
        return round(self.number("trainer.max_steps")) if given is None else given

    def store(self) -> FrameStore:
        """Open its corpus.

        Raises:
            InputError: there is none.
        """
        return FrameStore(
            choose_store(self.get("data.corpus", "auto"), self.get("data.root", "data"))
        )

    def training_lengths(self) -> list[int]:
        """Give the frames of each utterance of the training set."""
        store = self.store()
        positions = store.split(self.get("data.split", "utterance"), "train")
        lengths: list[int] = store.lengths[positions].tolist()
        return lengths


def find_subject(words: Sequence[str], sets: Sequence[str], root: Path) -> Subject:
    """Find what is probed.

    Args:
        words: configs; or one round, by its name, folder or file.
        sets: KEY=VALUE, over all else.
        root: folder of all rounds.

    Raises:
        InputError: there is no such thing.
    """
    given = dict(_setting(one) for one in sets)
    told = [*words, *(word for one in sets for word in ("--set", one))]
    return replace(_find(words, given, root), words=shlex.join(told))


def _find(words: Sequence[str], given: Mapping[str, Any], root: Path) -> Subject:
    if len(words) == 1:
        try:
            return _of_round(find_round(words[0], root), given)
        except InputError:
            if not Path(words[0]).is_file():
                raise
    for word in words:
        if not Path(word).is_file():
            raise InputError(f"{word} is no config file: give one of configs/, or a round alone")
    file = Path(words[0])
    told = load_yaml(file.read_text(encoding="utf-8"), str(file))
    if len(words) == 1 and isinstance(told, dict) and "goal" in told:
        return _of_plan(parse_round(told, file.stem), given)
    return Subject(file.stem, [Path(word) for word in words], given)


def _setting(word: str) -> tuple[str, Any]:
    key, is_one, value = word.partition("=")
    if not (key and is_one):
        raise InputError(f"--set is {word!r}: write KEY=VALUE, data.frames_per_batch=4000 say")
    return key, load_yaml(value, f"--set {key}")


def _of_round(folder: RoundFolder, given: Mapping[str, Any]) -> Subject:
    """Take the best trial of a round that has been run."""
    round = load_round(folder)
    order = ranked(read_records(folder, round.objective, round.retry.attempts), round.objective)
    if not order:
        raise InputError(
            f"no trial of {round.name} is completed, so none is the best: run it, or give a config"
        )
    best, configs = order[0], folder.base_configs()
    row = Row(best.trial, best.arm, best.point, best.seed, dict(best.values))
    settings = flatten(overrides(round, row, base_settings(configs)))
    tracking = {"wandb.mode": round.tracking.wandb, "wandb.project": round.tracking.project}
    print(f"probing {best.trial}, the best trial of {round.name}")
    threads = round.budget.threads
    return Subject(round.name, configs, {**tracking, **settings, **given}, threads, round.name)


def _of_plan(round: Round, given: Mapping[str, Any]) -> Subject:
    """Take what a round that has not been run sets for all of its trials."""
    settings = {**flatten(round.overrides), **flatten(round.fixed)}
    settings["trainer.max_steps"] = round.training.steps
    settings["wandb.mode"] = round.tracking.wandb
    configs = [Path(config) for config in round.base]
    print(f"{round.name} has not been run: probing its base configs and overrides")
    return Subject(round.name, configs, {**settings, **given}, round.budget.threads)
