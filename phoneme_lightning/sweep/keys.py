"""Dotted keys: those that several rooms speak of, and nested mappings, each made of the other."""

from collections.abc import Mapping
from typing import Any

__all__ = ["LEARNING_RATE", "LENGTH", "WARMUP", "flatten", "nested"]

LEARNING_RATE = "model.optimizer.init_args.lr"
LENGTH = "trainer.max_steps"
WARMUP = "model.warmup_steps"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give the leaves of a nested mapping by dotted key; its own keys may be dotted already.

    A list is a leaf, and so is an empty mapping.
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Give the nested mapping of which these are the leaves."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        place = tree
        for part in path:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[last] = value
    return tree
