"""Which fast paths run on this machine, in words."""

import os

from phoneme_lightning.models.recurrent_precision import recurrent_dtype
from phoneme_lightning.training.trainer import AUTOCAST, resolve_precision

__all__ = ["fast_paths"]


def fast_paths(device_type: str) -> dict[str, str]:
    """Say what a fit runs where nothing is set: each fast path, or the plain one in its place.

    Args:
        device_type: "cpu" or "cuda".

    Returns:
        What runs, by the name of what it does.
    """
    recurrent = recurrent_dtype(device_type, AUTOCAST.get(resolve_precision("auto")))
    found = {
        "recurrent layers": str(recurrent).removeprefix("torch."),
        "torch.compile": "off; --trainer.compile=true makes code for a CRNN and for attention",
    }
    if device_type == "cuda":
        return found | {
            "fp32 products": "TF32, unless trainer.precision is 32-true",
            "batches": "from the GPU's memory where the corpus takes at most a quarter of it",
        }
    spins = os.environ.get("GOMP_SPINCOUNT")
    has_asked = os.environ.get("THP_MEM_ALLOC_ENABLE") == "1"
    return found | {
        "dropout": "four elements a random number",
        "threads that wait": f"spin {spins} times, then sleep" if spins else "as OpenMP has it",
        "huge pages": "asked for" if has_asked else "not asked for",
    }
