"""Scores against plain loops, over batches, ranks and kinds of input."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from phoneme_lightning.batch import Batch
from phoneme_lightning.phones import IGNORE_LABEL
from phoneme_lightning.training.metrics import PhoneMetrics, correct_frames, phone_accuracy

CLASSES = 5
Pairs = list[tuple[list[int], list[int]]]
FRAMES = st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=10)
PAIRS = st.lists(
    FRAMES.flatmap(
        lambda y: st.tuples(
            st.just(y), st.lists(st.integers(0, CLASSES - 1), min_size=len(y), max_size=len(y))
        )
    ),
    min_size=1,
    max_size=4,
)


def make_batch(pairs: Pairs) -> tuple[Tensor, Batch]:
    """Give predictions (garbage in padding) and their batch."""
    features = [torch.zeros(len(y), 1) for y, _ in pairs]
    batch = Batch.collate(features, [torch.tensor(y) for y, _ in pairs], range(len(pairs)))
    predictions = torch.full_like(batch.labels, 3)
    for row, (_, predicted) in enumerate(pairs):
        predictions[row, : len(predicted)] = torch.tensor(predicted)
    return predictions, batch


def naive_edits(a: list[int], b: list[int]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def naive_scores(pairs: Pairs) -> dict[str, float]:
    frames = [frame for y, p in pairs for frame in zip(y, p, strict=True)]
    f1 = []
    for c in {y for y, _ in frames}:
        right = sum(y == p == c for y, p in frames)
        f1.append(2 * right / (sum(y == c for y, _ in frames) + sum(p == c for _, p in frames)))
    collapsed = [[[k for k, _ in groupby(x)] for x in pair] for pair in pairs]
    return {
        "frame_accuracy": sum(y == p for y, p in frames) / len(frames),
        "macro_f1": sum(f1) / len(f1),
        "phone_error_rate": sum(naive_edits(y, p) for y, p in collapsed)
        / sum(len(y) for y, _ in collapsed),
    }


@settings(deadline=None, max_examples=50)
@given(st.lists(PAIRS, min_size=1, max_size=3))
def test_scores_over_batches_equal_plain_loops_over_all_frames(batches: list[Pairs]) -> None:
    metrics = PhoneMetrics(CLASSES)
    for pairs in batches:
        metrics.update(*make_batch(pairs))
    together = [pair for pairs in batches for pair in pairs]
    scores = {name: float(value) for name, value in metrics.compute().items()}
    assert scores == pytest.approx(naive_scores(together), rel=1e-5)
    confusion = np.zeros((CLASSES, CLASSES))
    for labels, predicted in together:
        np.add.at(confusion, (labels, predicted), 1)
    assert (metrics.confusion.numpy() == confusion).all()
    counts = [[len(y), sum(map(int.__eq__, y, p))] for y, p in together]
    places = [place for pairs in batches for place in range(len(pairs))]
    assert sorted(metrics.utterances.tolist()) == sorted(
        [place, *count] for place, count in zip(places, counts, strict=True)
    )


def test_scores_and_classes_give_the_same() -> None:
    predictions, batch = make_batch([([0, 1, 1, 2], [0, 1, 4, 2]), ([3], [0])])
    scores = torch.nn.functional.one_hot(predictions, CLASSES).to(torch.bfloat16)
    by_class, by_score = PhoneMetrics(CLASSES), PhoneMetrics(CLASSES)
    by_class.update(predictions, batch)
    by_score.update(scores, batch)
    assert by_class.compute() == by_score.compute()
    assert [int(n) for n in correct_frames(scores, batch)] == [3, 5]
    accuracy = phone_accuracy(by_class.confusion)
    assert accuracy[:4].tolist() == [1.0, 0.5, 1.0, 0.0]
    assert accuracy[4].isnan()


def test_frames_without_a_label_count_nowhere() -> None:
    """Nor does an utterance without any, first, last or between others."""
    nothing = ([3, 3], [0, 1])
    predictions, batch = make_batch([nothing, ([0, 1, 2], [0, 4, 2]), nothing, ([2], [2]), nothing])
    batch.labels[1, 1] = batch.labels[::2] = IGNORE_LABEL
    metrics = PhoneMetrics(CLASSES)
    metrics.update(predictions, batch)
    assert {name: float(x) for name, x in metrics.compute().items()} == {
        "frame_accuracy": 1.0,
        "macro_f1": 1.0,
        "phone_error_rate": 0.0,
    }


def test_an_update_asks_the_device_for_no_value() -> None:
    """A tensor on the meta device has none, so that asking is an error."""
    predictions, batch = make_batch([([0, 1, 2], [0, 4, 2])])
    PhoneMetrics(CLASSES).update(predictions.to("meta"), batch.to("meta"))


PER_RANK: list[Pairs] = [[([0, 1, 2, 2], [0, 0, 2, 1])], [([3, 3], [3, 1]), ([4], [4])]]


def score_on_rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/join", rank=rank, world_size=2)
    metrics = PhoneMetrics(CLASSES)
    metrics.update(*make_batch(PER_RANK[rank]))
    scores = {name: float(value) for name, value in metrics.compute().items()}
    torch.save((scores, metrics.confusion, metrics.utterances), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_every_rank_gets_the_scores_of_all_ranks(tmp_path: Path) -> None:
    spawn(score_on_rank, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    expected = naive_scores([pair for pairs in PER_RANK for pair in pairs])
    for rank in range(2):
        scores, confusion, utterances = torch.load(f"{tmp_path}/{rank}.pt")
        assert sorted(utterances.tolist()) == [[0, 2, 1], [0, 4, 2], [1, 1, 1]]
        assert scores == pytest.approx(expected, rel=1e-5)
        assert confusion.sum() == 7


def count_on_rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/join", rank=rank, world_size=2)
    metrics = PhoneMetrics(CLASSES)
    for _ in range(2):  # what was counted before a reset is gone
        metrics.reset()
        if rank == 0:
            metrics.update(*make_batch([([0, 1], [0, 2]), ([3], [3])]))
    metrics.compute()
    torch.save(metrics.utterances, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_a_rank_without_a_batch_adds_no_utterance(tmp_path: Path) -> None:
    spawn(count_on_rank, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    for rank in range(2):
        assert torch.load(f"{tmp_path}/{rank}.pt").tolist() == [[0, 2, 1], [1, 1, 1]]
