"""The look that ends a round: its best trial, and no other, scored on the public half."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.scores import Scores, append_score, split_score
from phoneme_lightning.inference.submission import read_submission
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.scores import RUNS, read_json_lines

if TYPE_CHECKING:
    from phoneme_lightning.corpora.store import FrameStore

__all__ = ["Look", "has_test_labels", "look", "read_looks", "read_scores"]


@dataclass(frozen=True)
class Look:
    """A glance at the public half of the test split: each one spends a little of its worth."""

    trial: str
    """Whose weights were scored."""

    public: float | None
    """Frame accuracy on the public half; None where the corpus keeps its test labels back."""

    when: str
    """The time."""

    what: str
    """What was scored, or what to do where nothing could be."""


def read_looks(folder: RoundFolder) -> list[Look]:
    """Give every look that a round took, the oldest first."""
    return [Look(**line) for line in read_json_lines(folder.path / "looks.jsonl")]


def look(
    folder: RoundFolder,
    record: TrialRecord,
    run_cli: Callable[[list[str]], int],
    root: Path = RUNS,
) -> Look:
    """Score a trial's best weights on the public half, once, and record the look.

    The weights only predict here, by `phoneme-cli predict`; the public half is scored from
    prediction.csv. So nobody, and no file, is told the score on the private half, as
    `phoneme-cli test` would tell it.

    Args:
        folder: of the round; its looks.jsonl gets a line.
        record: of the trial, which is the best on validation.
        run_cli: runs phoneme-cli with these arguments and gives its exit code.
        root: folder of all runs; its scores.jsonl gets a line.

    Returns:
        The look; the earlier one, where these weights have been looked at.

    Raises:
        InputError: the trial has no weights, or they do not predict.
    """
    # Two drivers end a round at the same time: the second one waits, and finds the look.
    with FileLock(folder.path / ".looks.lock"):
        return _look(folder, record, run_cli, root)


def _look(
    folder: RoundFolder, record: TrialRecord, run_cli: Callable[[list[str]], int], root: Path
) -> Look:
    run = record.folder or folder.attempt(record.trial, 1)
    best = run / "checkpoints" / "best.ckpt"
    what = str(best.relative_to(folder.path))
    known = [known for known in read_looks(folder) if known.what == what]
    if known:
        return known[-1]
    if not best.is_file():
        raise InputError(f"{record.trial} has no weights to score, {best} is missing")
    exit_code = run_cli(["predict", "--ckpt_path", str(best)])
    if exit_code:
        raise InputError(f"phoneme-cli predict --ckpt_path {best} left with exit code {exit_code}")
    corpus, scores = read_scores(best, run / "prediction.csv")
    public = None if scores is None or math.isnan(scores.public) else scores.public
    now = time.strftime("%Y-%m-%d %H:%M:%S %z")
    if public is None:
        advice = (
            f"{corpus} keeps its test labels back: `phoneme-sweep submit {run}` uploads the "
            f"prediction, `phoneme-sweep score {run} --public ...` records a score by hand"
        )
        return Look(record.trial, None, now, advice)
    line = {"time": now, "run": str(run), "checkpoint": str(best), "corpus": corpus}
    source = f"round {folder.name}"
    append_score({**line, "public": public, "source": source}, root / "scores.jsonl")
    seen = Look(record.trial, public, now, what)
    append_score(asdict(seen), folder.path / "looks.jsonl")
    return seen


def read_scores(checkpoint: Path, prediction: Path) -> tuple[str, Scores | None]:
    """Score a prediction of a corpus's test split, on both halves: tell nobody of the private one.

    Args:
        checkpoint: whose prediction it is.
        prediction: as phoneme-cli writes it.

    Returns:
        Name of the corpus, and the scores; None where it keeps its test labels back.
    """
    store, positions = _test_split(checkpoint)
    if not store.has_labels(positions):
        return store.corpus, None
    utterances = [store[p] for p in positions.tolist()]
    scores = split_score(
        [u.id for u in utterances],
        np.split(read_submission(prediction), np.cumsum(store.lengths[positions])[:-1]),
        [u.labels for u in utterances if u.labels is not None],
    )
    return store.corpus, scores


def has_test_labels(checkpoint: Path) -> tuple[str, bool]:
    """Give the corpus of a checkpoint, and whether its test split has labels here, unread.

    Args:
        checkpoint: whose corpus it is.
    """
    store, positions = _test_split(checkpoint)
    return store.corpus, store.has_labels(positions)


def _test_split(checkpoint: Path) -> tuple["FrameStore", NDArray[np.int64]]:
    from phoneme_lightning.corpora.store import FrameStore
    from phoneme_lightning.training.record import read_record

    told = read_record(checkpoint)
    data, corpus = told["config"]["data"], told["resolved"]["corpus"]
    here = Path(data["root"]) / corpus
    store = FrameStore(here if here.is_dir() else told["store"])
    return store, store.split(data["split"], "test")
