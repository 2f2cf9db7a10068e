"""A winner becomes a config of its own; decision.yaml says who decided it, when and why."""

import getpass
import hashlib
import re
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.decisions.confirm_round import ARMS
from phoneme_lightning.sweep.decisions.confirmation_file import CONFIRMATION, read_confirmation
from phoneme_lightning.sweep.decisions.settings import whole_config
from phoneme_lightning.sweep.decisions.side import at_home, find_side, score
from phoneme_lightning.sweep.findings.diagnose import diagnose
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.folder import RoundFolder, find_round, write_atomically
from phoneme_lightning.sweep.opening import load_round
from phoneme_lightning.sweep.overrides import base_settings
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.yaml12 import dump_yaml, load_yaml

__all__ = ["CONFIGS", "DECISION", "promote", "read_decision"]

DECISION = "decision.yaml"
CONFIGS = Path("configs")
PIN = re.compile(r"# (.*), when the round began\n")
"""Begins the config in which a round holds the corpus that `auto` meant."""

WRITTEN = ("seed_everything", "run", "model", "data", "trainer", "divergence", "wandb")
"""Sections of a config, in the order of configs/."""


@dataclass(frozen=True)
class _Winner:
    """What is promoted."""

    folder: RoundFolder
    """The round in which it was trained last: the confirm round, if there is one."""

    round: Round
    """What that round is."""

    trial: TrialRecord
    """Its best trial there."""

    source: RoundFolder | None
    """The round that found it, where it is still there."""

    found: str
    """Name of the trial that was found there."""

    confirmation: Mapping[str, Any] | None
    """What its confirm round came to."""

    confirmed_in: str | None
    """Name of the confirm round."""

    @property
    def origin(self) -> str:
        """Name of the round that found it."""
        return str(self.confirmation["round"]) if self.confirmation else self.folder.name


def promote(
    name: str, root: Path, *, trial: str | None, config: str | None, because: str | None
) -> Path:
    """Write a winner as configs/NAME.yaml, and decision.yaml into the rounds that it is from.

    Args:
        name: of the round: the one that found the winner, or the one that confirmed it.
        root: folder of all rounds.
        trial: of the round that found it; what was confirmed, else its best, if None.
        config: name of the config; the name of the round that found it, if None.
        because: why it is promoted although a finding blocks or nothing confirms it.

    Returns:
        The config.

    Raises:
        InputError: a finding blocks or nothing confirms it, and no reason is given; or the config
            is there already.
    """
    asked, root = at_home(find_round(name, root), root)
    winner = _find_winner(asked, root, trial)
    homes = [one for one in (winner.source, winner.folder) if one]
    homes = [one for place, one in enumerate(homes) if one.name not in _names(homes[:place])]
    findings = {
        one.name: [f for f in diagnose(read_evidence(one)) if f.verdict in ("block", "warn")]
        for one in homes
    }
    if because is None:
        _object(winner, findings)
    before = [read_decision(one) for one in homes]
    path = CONFIGS / f"{_config_name(config or winner.origin)}.yaml"
    text = _render(winner, path.stem, because)
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{path} is there already: give another --name, or delete it") from None
    confirmation = winner.confirmation
    decision = {
        "decided": "promote",
        "when": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "who": getpass.getuser(),
        "config": str(path),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "round": winner.origin,
        "trial": winner.found,
        "weights": {"round": winner.folder.name, "trial": winner.trial.trial},
        "because": because or (confirmation or {}).get("why"),
        "confirmation": confirmation and {**confirmation, "round": winner.confirmed_in},
        "open": [
            {"round": one, "verdict": f.verdict, "rule": f.rule, "sentence": f.sentence}
            for one, each in findings.items()
            for f in each
        ],
    }
    try:
        for one, told in zip(homes, before, strict=True):
            earlier = {"earlier": [told, *told.pop("earlier", [])]} if told else {}
            write_atomically(one.path / DECISION, dump_yaml({**decision, **earlier}))
    except OSError as error:
        path.unlink()  # a config of which no round knows
        raise InputError(
            f"{one.path}/{DECISION} cannot be written ({error.strerror}), so nothing is promoted: "
            "make the folder writable"
        ) from error
    return path


def read_decision(folder: RoundFolder) -> dict[str, Any] | None:
    """Give what was decided on a round, with `earlier` decisions; None where nothing was."""
    file = folder.path / DECISION
    if not file.is_file():
        return None
    told = load_yaml(file.read_text(encoding="utf-8"), str(file))
    return told if isinstance(told, dict) else None


def _names(folders: Sequence[RoundFolder]) -> list[str]:
    return [one.name for one in folders]


def _config_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise InputError(f"--name is {name!r}: give letters, digits and . _ + - only")
    return name.removesuffix(".yaml")


def _find_winner(asked: RoundFolder, root: Path, trial: str | None) -> _Winner:
    """Find what is to be promoted, and its confirmation."""
    round = load_round(asked)
    if round.phase == "confirm":
        told = read_confirmation(asked)
        if told is None:
            raise InputError(
                f"{asked.name} has no verdict yet: phoneme-sweep confirm {round.goal.parent}"
            )
        if trial not in (None, told["candidate"]):
            raise InputError(
                f"--trial is {trial}, but {asked.name} confirms {told['candidate']}: leave it out"
            )
        beside = [place / told["round"] for place in (asked.path.parent, root)]
        there = [RoundFolder(place) for place in beside if (place / "round.yaml").is_file()]
        return _confirmed(asked, there[0] if there else None, told)
    places = {place.resolve(): place for place in (asked.path.parent, root)}.values()
    files = [file for place in places for file in place.glob(f"[!.]*/{CONFIRMATION}")]
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        told = read_confirmation(RoundFolder(file.parent))
        if told and told["round"] == asked.name and trial in (None, told["candidate"]):
            return _confirmed(RoundFolder(file.parent), asked, told)
    side = find_side(f"{asked.path}:{trial}" if trial else str(asked.path), root)
    best = side.trials[0]
    return _Winner(asked, round, best, asked, best.trial, None, None)


def _confirmed(folder: RoundFolder, source: RoundFolder | None, told: Mapping[str, Any]) -> _Winner:
    side = find_side(f"{folder.path}:{ARMS[0]}", folder.path.parent)
    sign = 1 if side.objective.mode == "max" else -1
    best = max(side.trials, key=lambda one: sign * score(one, side.objective))
    return _Winner(folder, side.round, best, source, told["candidate"], told, folder.name)


def _object(winner: _Winner, findings: Mapping[str, Sequence[Finding]]) -> None:
    """Refuse what should not be promoted.

    Raises:
        InputError: it says why, and how to do it all the same.
    """
    all_the_same = '--because "..." promotes it all the same'
    if not winner.round.evidence:
        raise InputError(f"--quick cut {winner.folder.name}: it is no evidence; {all_the_same}")
    for name, each in findings.items():
        blocking = [finding for finding in each if finding.verdict == "block"]
        if blocking:
            raise InputError(
                f"a finding on {name} blocks: {blocking[0].sentence} "
                f"(phoneme-sweep diagnose {name}); {all_the_same}"
            )
    if winner.confirmation is None:
        raise InputError(
            f"{winner.found} is not confirmed: phoneme-sweep confirm {winner.folder.path} "
            f"--candidate {winner.found}; {all_the_same}"
        )
    if winner.confirmation["verdict"] != "ADOPT":
        raise InputError(
            f"{winner.confirmed_in} does not say ADOPT ({winner.confirmation['why']}) "
            f"The baseline stays; {all_the_same}"
        )


def _render(winner: _Winner, name: str, because: str | None) -> str:
    """Write the config, with where it is from above it."""
    configs = winner.folder.base_configs()
    config = whole_config(configs, winner.round, winner.trial)
    pins = (PIN.match(file.read_text(encoding="utf-8")) for file in configs)
    config["data"]["corpus"] = next((pin[1] for pin in pins if pin), "auto")
    config["run"]["name"] = name
    config["seed_everything"] = base_settings(configs).get("seed_everything", 0)
    body = dump_yaml({key: config[key] for key in WRITTEN})
    told = [line for one in _provenance(winner, because) for line in textwrap.wrap(one, 96)]
    return "".join(f"# {line}\n" for line in told) + body


def _provenance(winner: _Winner, because: str | None) -> list[str]:
    round, trial = winner.round, winner.trial
    objective = round.objective
    git = trial.environment.get("git") or {}
    corpus = trial.environment.get("corpus") or {}
    commit = f"{git.get('commit', 'unknown')}{' with changes' if git.get('dirty') else ''}"
    value, whose = score(trial, objective), f"of {trial.trial}"
    if winner.confirmation and winner.confirmation["values"][0] is not None:
        value = winner.confirmation["values"][0]
        whose = f"mean of {len(winner.confirmation['differences'])} seeds in {winner.folder.name}"
    told = [
        f"{winner.found} of the round {winner.origin}, promoted by `phoneme-sweep promote`.",
        *([f"The round asked: {load_round(winner.source).goal.question}"] if winner.source else []),
        f"Score: {objective.selection} {objective.metric} on validation {value:.4f}, {whose}; "
        f"{trial.step} steps.",
        f"Corpus: {corpus.get('name', 'unknown')}, manifest "
        f"{str(corpus.get('manifest_sha256', 'unknown'))[:12]}. Commit: {commit}.",
    ]
    if winner.confirmation:
        told.append(
            f"Confirmation, {winner.confirmed_in}, against {winner.confirmation['baseline']}: "
            f"{winner.confirmation['why']}"
        )
    else:
        told.append("Confirmation: none.")
    if because:
        told.append(f"Because: {because}")
    told.append(f"To repeat the trial: phoneme-sweep repro {winner.folder.name} {trial.trial}")
    return told
