"""What the runs of a model came to, for its summary.json."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.confusion_file import read_confusion
from phoneme_lightning.sweep.decisions.fits import check_alike, read_fit
from phoneme_lightning.sweep.round import Objective
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.utterance_file import read_utterances

__all__ = [
    *("SCORES", "corpus_of", "folder_of_command", "nets_of"),
    *("read_json", "seed_of", "summarise"),
]

SAME = 5e-4
"""How far the accuracy of the same weights may vary with the batches in which bf16 rounds."""

SIZES = ("utterances", "frames", "speakers")
SCORES = ("frame_accuracy", "macro_f1", "phone_error_rate", "loss")


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: it is not there.
    """
    if not file.is_file():
        raise InputError(f"{file} is missing: run phoneme-cli validate and test on its best.ckpt")
    return dict(json.loads(file.read_text(encoding="utf-8")))


def folder_of_command(run: Path) -> str:
    """Give the folder of the machine in which a run's first command was given; "" if unknown."""
    found = re.search(r"^# .*, in (/\S*)$", (run / "command.txt").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else ""


def corpus_of(run: Path) -> str:
    """Give the corpus that a run was trained on, by its name.

    Raises:
        InputError: it is no run.
    """
    return str(read_json(nets_of(run)[0] / "environment.json")["corpus"]["name"])


def seed_of(run: Path) -> int:
    """Give a fit's seed, or that of the one net that was decoded; 0 for an ensemble."""
    if (run / "config.yaml").is_file():
        return int(yaml.safe_load((run / "config.yaml").read_text("utf-8"))["seed_everything"])
    nets = nets_of(run)
    return seed_of(nets[0]) if len(nets) == 1 else 0


def nets_of(run: Path) -> list[Path]:
    """Give the folders of the fits that a run is made of: its own, or those of an ensemble.

    Raises:
        InputError: it is no run, or a net of an ensemble is not where it was.
    """
    if (run / "config.yaml").is_file():
        return [run]
    if not (run / "validation.json").is_file():
        raise InputError(f"{run} holds no run: give the folder of a fit or of an ensemble")
    commanded = run if (run / "command.txt").is_file() else run.parent
    here = Path(folder_of_command(commanded))
    nets = [(here / name).parents[1] for name in read_json(run / "validation.json")["checkpoints"]]
    for net in nets:
        if not (net / "outcome.json").is_file():
            raise InputError(f"{run} was made of {net}, where no fit has ended: bring it back")
    return nets


def summarise(name: str, runs: Sequence[Path]) -> dict[str, Any]:
    """Say what the runs of a model came to, a seed each.

    Args:
        name: of the model.
        runs: folders of fits, each tested, or of what `phoneme-cli ensemble` left.

    Raises:
        InputError: a run is not whole, its files tell of different weights, or it differs from the
            first in more than its seed.
    """
    trained = [run for run in runs if (run / "config.yaml").is_file()]
    if trained:
        check_alike(trained, [read_fit(run, Objective()) for run in trained])
    nets = nets_of(runs[0])
    fits = [_of_fit(net) for net in nets]
    environments = [read_json(net / "environment.json") for run in runs for net in nets_of(run)]
    splits = environments[0]["splits"]
    first, *others = [one["splits"]["by"] for one in environments]
    if set(others) - {first}:
        raise InputError(f"{name} has runs of data.split {first} and others: keep one of them")
    is_scored = splits["test"]["labelled"]
    reached = [_of_run(run, is_scored) for run in runs]
    parts = ("train", "validation", "test") if is_scored else ("train", "validation")
    decoder = read_json(runs[0] / "validation.json").get("decoder")
    return {
        "name": name,
        "nets": [one["net"] for one in fits],
        "parameters": sum(one["parameters"] for one in fits),
        "split": first,
        **{part: {key: splits[part][key] for key in SIZES} for part in parts},
        "device": environments[0]["device"],
        "threads": environments[0]["threads"],
        "precision": environments[0]["precision"],
        **({"decoder": decoder} if decoder else {}),
        "mean": {key: mean(one[key] for one in reached) for key in reached[0] if key != "seed"},
        "deviation": _deviation(reached),
        "runs": reached,
    }


def _deviation(reached: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Give by how much scores vary from seed to seed."""
    scores = [key for key in SCORES if key in reached[0]]
    return {key: stdev(one[key] for one in reached) for key in scores} if reached[1:] else None


def _of_fit(run: Path) -> dict[str, Any]:
    """Say what a fit's training took; its time is that of its steps, without validation."""
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    fit = read_fit(run, Objective())
    assert fit.measured is not None  # read_fit refuses what was never validated
    rows = [row for row in read_metrics(run / "metrics.csv") if "train/frames_seen" in row]
    seen = [0.0, *(row["train/frames_seen"] for row in rows)]
    speeds = [row["train/frames_per_second"] for row in rows]
    spans = zip(seen, seen[1:], speeds, strict=False)
    return {
        "net": config["model"]["backbone"]["class_path"].rpartition(".")[2],
        "parameters": fit.parameters,
        "steps": fit.step,
        "best_step": fit.measured.best_step,
        "frames_seen": int(seen[-1]),
        "seconds": round(sum((end - begin) / speed for begin, end, speed in spans)),
    }


def _of_run(run: Path, is_scored: bool) -> dict[str, Any]:
    """Say what a run reached, on test too if that has labels, and what the nets of it took."""
    told = read_json(run / "validation.json")
    scores = {key: told[f"val/{key}"] for key in SCORES if f"val/{key}" in told}
    _check_counts(run, scores["frame_accuracy"])
    if is_scored:
        on_test = read_json(run / "test.json")
        scores |= {f"test_{key}": on_test[key] for key in SCORES if key in on_test}
    fits = [_of_fit(net) for net in nets_of(run)]
    took = {key: sum(one[key] for one in fits) for key in ("steps", "frames_seen", "seconds")}
    best = {"best_step": fits[0]["best_step"]} if len(fits) == 1 else {}
    return {"seed": seed_of(run), **scores, **took, **best}


def _check_counts(run: Path, accuracy: float) -> None:
    """Refuse a run whose counts are not those of the weights that were scored."""
    utterances, confusion = read_utterances(run), read_confusion(run)
    if utterances is None or confusion is None:
        raise InputError(f"{run} has no counts of its utterances or confusions: validate it again")
    frames, right = (sum(column) for column in zip(*utterances.values(), strict=True))
    for file, share in (
        ("utterances-validation.csv", right / frames),
        ("confusion-validation.csv", confusion.counts.trace() / confusion.counts.sum()),
    ):
        if abs(share - accuracy) > SAME:
            raise InputError(
                f"{run / file} counts {share:.4f}, validation.json {accuracy:.4f}: they are of "
                "different weights, run phoneme-cli test again"
            )
