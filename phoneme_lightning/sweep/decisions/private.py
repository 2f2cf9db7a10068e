"""The private half of the test split: for a promoted config alone, and every look is logged."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.scores import append_score
from phoneme_lightning.sweep.decisions.promotion import CONFIGS, DECISION, read_decision
from phoneme_lightning.sweep.decisions.side import at_home
from phoneme_lightning.sweep.folder import KEPT, RoundFolder, find_round
from phoneme_lightning.sweep.looks import has_test_labels, read_scores
from phoneme_lightning.sweep.scores import read_json_lines

__all__ = ["LOOKS", "PrivateLook", "look_at_private"]

LOOKS = "private-looks.jsonl"
"""In the folder of the round, and in the one of all runs."""

DECISIONS = f"[!.]*/{DECISION}"
"""In a folder of rounds."""


@dataclass(frozen=True)
class PrivateLook:
    """A look at the private half: each one makes the next worth less."""

    when: str
    """The time."""

    config: str
    """The promoted config."""

    sha256: str
    """Of its text."""

    round: str
    """The round whose weights were scored."""

    trial: str
    """Its trial."""

    corpus: str
    """Whose test split it is."""

    private: float | None
    """Frame accuracy on the private half; None until it is known."""

    frames: int
    """Labelled frames in it; 0 until it is known."""

    look: int
    """Which look it is of this config, or of its weights under any name, from 1."""


def look_at_private(
    what: str, root: Path, *, again: bool, run_cli: Callable[[list[str]], int]
) -> tuple[PrivateLook, list[PrivateLook]]:
    """Log a look at the private half, then score a promoted config's weights there.

    A line goes before the look and another with the score after it, so that one which was
    interrupted, or whose score nobody wrote down, has been a look too.

    Args:
        what: the promoted config, or its round.
        root: folder of all rounds; its parent's private-looks.jsonl gets a line.
        again: look although this config, or its weights by another name, has been looked at.
        run_cli: runs phoneme-cli with these arguments and gives its exit code.

    Returns:
        The look, and every earlier one at the same corpus.

    Raises:
        InputError: nothing was promoted there, the config has changed since, it was looked at
            before, its weights are gone, or the corpus keeps its test labels back.
    """
    folder, decision = _find(what, root)
    folder, root = at_home(folder, root)
    _check_unchanged(decision)
    name = decision["weights"]["round"]
    beside = folder.path.parent / name
    weights = RoundFolder(beside if beside.is_dir() else root / name)
    trial = decision["weights"]["trial"]
    best = _weights(weights, trial)
    log = root.parent / LOOKS
    log.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(log.with_name(f".{LOOKS}.lock")):
        lines = (PrivateLook(**line) for line in read_json_lines(log))
        known = list({(one.sha256, one.look): one for one in lines}.values())
        mine = [
            one
            for one in known
            if one.sha256 == decision["sha256"] or (one.round, one.trial) == (weights.name, trial)
        ]
        if mine and not again:
            last = mine[-1]
            came_to = "interrupted" if last.private is None else f"{last.private:.4f}"
            raise InputError(
                f"{decision['config']} has been looked at {len(mine)} time(s), last as "
                f"{last.config} on {last.when} ({came_to}): --yes looks again"
            )
        corpus, labelled = has_test_labels(best)
        if not labelled:
            raise InputError(
                f"{corpus} has no private half here, it keeps its test labels back: "
                f"phoneme-sweep submit {best.parents[1]} asks Kaggle"
            )
        exit_code = run_cli(["predict", "--ckpt_path", str(best)])
        if exit_code:
            raise InputError(f"phoneme-cli predict --ckpt_path {best} left with {exit_code}")
        seen = PrivateLook(
            when=time.strftime("%Y-%m-%d %H:%M:%S %z"),
            config=decision["config"],
            sha256=decision["sha256"],
            round=weights.name,
            trial=trial,
            corpus=corpus,
            private=None,
            frames=0,
            look=len(mine) + 1,
        )
        _log(seen, folder.path / LOOKS, log)
        _, scores = read_scores(best, best.parents[1] / "prediction.csv")
        if scores is None or not scores.private_frames:
            raise InputError(f"no utterance of {corpus} is in the private half of its test split")
        seen = replace(seen, private=scores.private, frames=scores.private_frames)
        _log(seen, folder.path / LOOKS, log)
    return seen, [one for one in known if one.corpus == corpus]


def _log(seen: PrivateLook, *files: Path) -> None:
    for file in files:
        append_score(asdict(seen), file)


def _find(what: str, root: Path) -> tuple[RoundFolder, Mapping[str, Any]]:
    """Find what was promoted, by its config or by its round."""
    path = Path(what)
    if path.is_file() and path.suffix == ".yaml":
        for file in (one for place in (root, KEPT) for one in sorted(place.glob(DECISIONS))):
            newest = read_decision(RoundFolder(file.parent)) or {}
            for told in (newest, *newest.get("earlier", ())):
                if told and Path(told["config"]).resolve() == path.resolve():
                    return RoundFolder(file.parent), told
        if path.parent.name != "sweeps":
            raise InputError(
                f"{what} was not promoted by any round under {root}: the private half is for "
                "promoted configs alone, see phoneme-sweep promote"
            )
    elif path.suffix == ".yaml" and path.parent.name == CONFIGS.name:
        raise InputError(f"there is no config {what}: give a promoted one, or its round")
    folder = find_round(what, root)
    told = read_decision(folder)
    if told is None:
        raise InputError(
            f"nothing of {folder.name} is promoted: the private half is for promoted configs "
            f"alone, see phoneme-sweep promote {folder.path}"
        )
    return folder, told


def _check_unchanged(decision: Mapping[str, Any]) -> None:
    try:
        text = Path(decision["config"]).read_bytes()
    except OSError as error:
        raise InputError(f"{decision['config']} is gone: promote it again") from error
    if hashlib.sha256(text).hexdigest() != decision["sha256"]:
        raise InputError(
            f"{decision['config']} has changed since it was promoted: its weights are not of this "
            "config; take the change back, or train and promote it"
        )


def _weights(folder: RoundFolder, trial: str) -> Path:
    found = [
        attempt / "checkpoints/best.ckpt"
        for attempt in folder.attempts(trial)
        if (attempt / "checkpoints/best.ckpt").is_file()
    ]
    if not found:
        raise InputError(
            f"the weights of {trial} of {folder.name} are gone: nothing can be scored; "
            "train them again (phoneme-sweep confirm with another --name), and promote that"
        )
    return found[-1]
