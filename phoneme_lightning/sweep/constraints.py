"""Comparisons that a trial must satisfy, such as `parameters <= 10e6`, read without eval."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.expressions import calculate, names_in, parse
from phoneme_lightning.sweep.keys import flatten

__all__ = ["check_constraints", "violated"]

COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def _parse(constraint: str) -> ast.Compare:
    node = parse(constraint)
    if not isinstance(node, ast.Compare) or any(type(one) not in COMPARISONS for one in node.ops):
        raise InputError(f"{constraint!r} is no comparison: write it as `parameters <= 10e6`")
    for side in (node.left, *node.comparators):
        names_in(side)
    return node


def check_constraints(constraints: Sequence[str]) -> None:
    """Check that all of them are comparisons of numbers and keys.

    Raises:
        InputError: one is not; names it.
    """
    for place, constraint in enumerate(constraints):
        try:
            _parse(constraint)
        except InputError as error:
            raise InputError(f"constraints[{place}]: {error}") from error


def violated(
    constraints: Sequence[str], config: Mapping[str, Any], parameters: int | None
) -> str | None:
    """Give the first constraint that a trial violates, or None.

    Args:
        constraints: comparisons.
        config: the trial's whole config, nested.
        parameters: weights of its net; None where they have not been counted: constraints that
            name them are then passed over.

    Raises:
        InputError: one names a key that the config has not, or whose value is no number.
    """
    values = {**flatten(config), "parameters": parameters}
    for constraint in constraints:
        node = _parse(constraint)
        sides = [node.left, *node.comparators]
        if parameters is None and any("parameters" in names_in(side) for side in sides):
            continue
        try:
            numbers = [calculate(side, values) for side in sides]
        except InputError as error:
            raise InputError(f"the constraint {constraint!r}: {error}") from error
        pairs = zip(node.ops, numbers, numbers[1:], strict=False)
        if not all(COMPARISONS[type(op)](left, right) for op, left, right in pairs):
            return constraint
    return None
