"""What every test shares: no network, few threads, no window, repeatable examples."""

import os

import pytest
from hypothesis import settings

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
