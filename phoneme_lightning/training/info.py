"""What runs on this machine: the device, the precision, and which fast paths."""

import json
from typing import Any

import torch

from phoneme_lightning.training.environment import device_name
from phoneme_lightning.training.paths import fast_paths
from phoneme_lightning.training.trainer import resolve_precision

__all__ = ["describe_machine", "info"]


def describe_machine() -> dict[str, Any]:
    """Say what a fit takes here where nothing is set.

    Returns:
        device: "cpu" or "cuda"; name: the maker's; threads: that a CPU calculates with;
        precision: what "auto" becomes; fast_paths: name -> what runs.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "device": device.type,
        "name": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "precision": resolve_precision("auto"),
        "fast_paths": fast_paths(device.type),
    }


def info(as_json: bool) -> None:
    """Print what `describe_machine` gives.

    Args:
        as_json: as an object, not as a table.
    """
    found = describe_machine()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = {
        "device": f"{found['device']}: {found['name']}, {found['threads']} CPU threads",
        "torch": found["torch"],
        "precision": f"{found['precision']}, by auto",
        **found["fast_paths"],
    }
    width = max(map(len, rows))
    for name, text in rows.items():
        print(f"{name:{width}}  {text}")
