"""The project's public scores: who scored what, and the best so far."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.scores import append_score
from phoneme_lightning.sweep.folder import RoundFolder

__all__ = [
    "RUNS",
    "Score",
    "add_score",
    "corpus_of",
    "find_run",
    "model_name",
    "name_best",
    "project_table",
    "read_json_lines",
]

RUNS = Path("runs")
"""Folder of all runs, with their scores.jsonl."""


@dataclass(frozen=True)
class Score:
    """A line of the project's table."""

    model: str
    """The run's folder under runs/, or round/trial."""

    public: float
    """Frame accuracy on the public half."""

    corpus: str
    """Whose test split it is: scores on two corpora do not compare."""

    source: str
    """Who scored it."""

    time: str
    """When."""


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Give what stands on each line of a file; nothing where it is missing or was cut short."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue  # cut short by a crash


def find_run(name: str | Path, root: Path = RUNS) -> Path:
    """Find a run's folder.

    Args:
        name: the folder of a run, of a trial, or of an attempt; a file in it; or round/trial.
        root: folder of all runs.

    Returns:
        The folder that holds config.yaml; of a trial that of its newest attempt.

    Raises:
        InputError: there is none.
    """
    path = Path(name)
    places = [path.parent if path.is_file() else path, root / path]
    if len(path.parts) == 2:
        places.append(root / "rounds" / path.parts[0] / "trials" / path.parts[1])
    for place in places:
        if (place / "config.yaml").is_file():
            return place
        if place.parent.name == "trials":
            attempts = RoundFolder(place.parents[1]).attempts(place.name)
            begun = [attempt for attempt in attempts if (attempt / "config.yaml").is_file()]
            if begun:
                return begun[-1]
    raise InputError(f"no run at {name}: give the folder of a run, or round/trial")


def corpus_of(run: Path) -> str:
    """Give the name of the corpus that a run was trained on."""
    try:
        told = json.loads((run / "environment.json").read_text(encoding="utf-8"))
        return str(told["corpus"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        return Path(config["resolved"]["corpus"]).name


def add_score(
    run: Path,
    public: float,
    private: float | None = None,
    *,
    source: str = "by hand",
    root: Path = RUNS,
) -> None:
    """Record what somebody else scored, such as Kaggle.

    Args:
        run: the run's folder.
        public: frame accuracy on the public part, a share.
        private: likewise on the private part, where it is known.
        source: who scored it.
        root: folder of all runs; its scores.jsonl gets a line.

    Raises:
        InputError: a score is no share.
    """
    given = {"public": public} | ({} if private is None else {"private": private})
    for name, score in given.items():
        if not 0 <= score <= 1:
            raise InputError(f"--{name} is {score:g}: give a share from 0 to 1, such as 0.83")
    now = time.strftime("%Y-%m-%d %H:%M:%S %z")
    line = {"time": now, "run": str(run), "corpus": corpus_of(run), **given, "source": source}
    append_score(line, root / "scores.jsonl")


def project_table(root: Path = RUNS) -> list[Score]:
    """Give every scored model, corpus by corpus, the best public score first.

    Weights that were scored again appear once, with the newest score. The private half stays
    closed here.

    Args:
        root: folder of all runs.
    """
    newest: dict[tuple[Any, ...], Score] = {}
    for line in read_json_lines(root / "scores.jsonl"):
        public = line.get("public")
        if public is None or math.isnan(public):
            continue
        run, checkpoint = line["run"], line.get("checkpoint")
        source = line.get("source", "phoneme-cli test")
        weights = Path(checkpoint).resolve() if checkpoint else Path(run).resolve()
        score = Score(model_name(run, root), public, line["corpus"], source, line["time"])
        newest[weights, line["corpus"]] = score
    return sorted(newest.values(), key=lambda score: (score.corpus, -score.public))


def model_name(run: str | Path, root: Path = RUNS) -> str:
    """Name a run as the project's table does: its folder under runs/, or round/trial."""
    path = Path(run).resolve()
    if path.parent.parent.name == "trials":
        return f"{path.parents[2].name}/{path.parent.name}"
    return str(path.relative_to(root.resolve()) if path.is_relative_to(root.resolve()) else run)


def name_best(root: Path = RUNS, corpus: str | None = None) -> str:
    """Say the best public score so far.

    Args:
        root: folder of all runs.
        corpus: of which; every corpus that was scored, if None.
    """
    best: dict[str, Score] = {}
    for score in project_table(root):
        if corpus in (None, score.corpus):
            best.setdefault(score.corpus, score)
    if not best:
        return "no public score so far" + (f" on {corpus}" if corpus else "")
    told = (f"{s.public:.4f} on {s.corpus}, by {s.model} ({s.source})" for s in best.values())
    return "best public score so far: " + "; ".join(told)
