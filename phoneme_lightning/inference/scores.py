"""Frame accuracy on the public and the private half of the test split, and where it is kept."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phoneme_lightning.training.run import RunSettings, say

__all__ = ["Scores", "append_score", "is_public", "keep_score", "split_score"]


@dataclass(frozen=True)
class Scores:
    """How much of a test split is right.

    Attributes:
        public: frame accuracy on the public half; NaN if it has no labelled frame.
        private: frame accuracy on the private half; likewise.
        public_frames: labelled frames of the public half.
        private_frames: labelled frames of the private half.
    """

    public: float
    private: float
    public_frames: int
    private_frames: int


def is_public(utterance: str) -> bool:
    """Tell whether an utterance is in the public half: fixed by its id alone (SHA-256, one bit)."""
    return hashlib.sha256(utterance.encode()).digest()[0] % 2 == 0


def split_score(
    ids: Sequence[str], predictions: Sequence[np.ndarray], labels: Sequence[np.ndarray]
) -> Scores:
    """Score predictions on both halves.

    Args:
        ids: each utterance's id.
        predictions: (frames,), int, of each utterance.
        labels: (frames,), int, of each utterance; frames with a negative label do not count.

    Returns:
        The scores of the two halves.

    Raises:
        ValueError: an utterance's predictions and labels differ in length.
    """
    right, counted = [0, 0], [0, 0]
    for utterance, predicted, label in zip(ids, predictions, labels, strict=True):
        if predicted.shape != label.shape:
            raise ValueError(
                f"{utterance}: predictions {predicted.shape} beside labels {label.shape}"
            )
        half = 0 if is_public(utterance) else 1
        known = label >= 0
        right[half] += int((predicted == label)[known].sum())
        counted[half] += int(known.sum())
    public, private = (r / n if n else float("nan") for r, n in zip(right, counted, strict=True))
    return Scores(public, private, *counted)


def append_score(record: Mapping[str, Any], path: str | Path = "runs/scores.jsonl") -> None:
    """Add a line to the list of scores; runs that do so at once do not mix their lines.

    Args:
        record: what JSON can hold: the run, the scores, the command.
        path: the list, one JSON object a line; it is made if need be.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(record) + "\n").encode()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        # One write to a file opened for appending is one piece; two could be torn apart.
        os.write(handle, line)
    finally:
        os.close(handle)


def keep_score(record: Mapping[str, Any], settings: RunSettings) -> bool:
    """Append a test's score to the scores of all runs; say so where it is suspiciously low.

    Args:
        record: what `report_test` gave.
        settings: of the run.

    Returns:
        False if it does not beat the baselines by as much as the run asks.
    """
    append_score(record, Path(settings.root) / "scores.jsonl")
    margin = settings.beat_baselines_by
    baseline = max(record["silence_share"], record["linear_probe"])
    if margin and record["frame_accuracy"] < baseline + margin:
        say(f"that is less than {margin:.0%} above the better of the two: something is wrong")
        return False
    return True
