"""What every test shares: no network, few threads, no window, repeatable examples."""

import os

import numpy as np
import pytest
from hypothesis import settings

from phoneme_lightning.corpora.splits import draw_splits
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.phones import NUM_PHONES

# Before anything imports torch, matplotlib or wandb; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ["MPLBACKEND"] = "Agg"
os.environ["WANDB_MODE"] = "offline"

settings.register_profile("phonemes", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("phonemes")


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none."""
    of_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if of_gpu:
        import torch

        if not torch.cuda.is_available():
            for item in of_gpu:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def make_store_at(path, *, utterances=16, coefficients=13, labelled_test=True, seed=0):
    """Write a synthetic store: phones of 3 to 12 frames, each with a mean of its own, and noise.

    Four speakers; the last quarter of the utterances is the test split.
    """
    draw = np.random.default_rng(seed)
    means = draw.normal(size=(NUM_PHONES, coefficients))
    names = [f"{100 + index % 4}-1-{index:04}" for index in range(utterances)]
    speakers = [name.split("-")[0] for name in names]
    is_test = np.arange(utterances) >= utterances - utterances // 4
    with StoreWriter(path, coefficients=coefficients) as writer:
        for name, speaker, test in zip(names, speakers, is_test, strict=True):
            phones = draw.integers(NUM_PHONES, size=draw.integers(4, 9))
            labels = phones.repeat(draw.integers(3, 13, size=len(phones)))
            features = means[labels] + 0.5 * draw.normal(size=(len(labels), coefficients))
            writer.add(name, speaker, features, labels if labelled_test or not test else None)
        writer.finish(
            corpus="synthetic",
            splits=draw_splits(speakers, is_test, fraction=0.25),
            settings={"seed": seed},
            counts={},
        )
    return FrameStore(path)


@pytest.fixture(scope="session")
def make_store():
    """Give `make_store_at`, for a test that needs a store of its own kind."""
    return make_store_at


@pytest.fixture
def tiny_store(tmp_path):
    """Give a synthetic store of 16 utterances."""
    return make_store_at(tmp_path / "store")
