"""What a class takes, so that an arm with another class can carry all of its init_args."""

import importlib
import inspect
from functools import cache
from typing import Any

from phoneme_lightning.errors import InputError

__all__ = ["defaults_of"]

FILLED_IN = {"num_features", "params"}
"""Arguments that phoneme-cli gives itself: coefficients a frame, and an optimizer's weights."""


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


@cache
def defaults_of(class_path: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Give the init_args of a class.

    Args:
        class_path: module and class, such as torch.optim.SGD.

    Returns:
        The defaults that YAML can hold, by name; and the names of those without a default.

    Raises:
        InputError: there is no such class.
    """
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        parameters = inspect.signature(found).parameters.values()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"class_path is {class_path!r}, and there is no such class ({error}): write its whole "
            "path, such as torch.optim.SGD"
        ) from error
    named = [
        one
        for one in parameters
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) and one.name not in FILLED_IN
    ]
    defaults = {
        one.name: list(one.default) if isinstance(one.default, tuple) else one.default
        for one in named
        if one.default is not one.empty and _is_plain(one.default)
    }
    return defaults, frozenset(one.name for one in named if one.default is one.empty)
