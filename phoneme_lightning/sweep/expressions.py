"""Arithmetic over keys, such as `1 - x` or `round(0.05 * trainer.max_steps)`, without eval."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from phoneme_lightning.errors import InputError

__all__ = ["calculate", "name_of", "names_in", "parse"]


def _power(base: float, exponent: float) -> float:
    value = math.pow(base, exponent)  # no integer of a million digits, no complex number
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    return int(value) if whole and value < 2**53 else value


OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {"round": round, "min": min, "max": max, "int": int}


def parse(text: str) -> ast.expr:
    """Parse an expression.

    Raises:
        InputError: it is none.
    """
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        fault = error.msg if isinstance(error, SyntaxError) else error
        raise InputError(f"{text!r} is no arithmetic: {fault}") from error


def name_of(node: ast.AST) -> str | None:
    """Give the key that a node names, a.b.c; None where it names none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = name_of(node.value)
        return inner and f"{inner}.{node.attr}"
    return None


def names_in(node: ast.AST) -> list[str]:
    """Give the keys that an expression names.

    Raises:
        InputError: it holds what is no arithmetic.
    """
    name = name_of(node)
    if name:
        return [name]
    inner: list[ast.expr]
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return []
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            inner = [left, right]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            inner = [operand]
        case ast.Call(func=ast.Name(id=called), args=inner, keywords=[]) if called in FUNCTIONS:
            pass
        case _:
            raise InputError(
                f"{ast.unparse(node)!r} is no arithmetic: write numbers, keys, + - * / **, "
                f"{', '.join(f'{name}()' for name in FUNCTIONS)}"
            )
    return [name for one in inner for name in names_in(one)]


def calculate(node: ast.AST, values: Mapping[str, Any]) -> Any:
    """Calculate an expression that `names_in` has passed.

    Args:
        node: the expression.
        values: of the keys that it names.

    Raises:
        InputError: a key is missing or no number, or the result is no finite number.
    """
    value = _calculate(node, values)
    if not math.isfinite(value):
        raise InputError(f"{ast.unparse(node)!r} is {value}")
    return value


def _calculate(node: ast.AST, values: Mapping[str, Any]) -> Any:
    name = name_of(node)
    if name:
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            said = "not there" if name not in values else f"{value!r}, which is no number"
            raise InputError(f"{name} is {said}")
        return value
    try:
        match node:
            case ast.Constant():
                return node.value
            case ast.BinOp():
                left, right = _calculate(node.left, values), _calculate(node.right, values)
                return OPERATORS[type(node.op)](left, right)
            case ast.UnaryOp():
                return OPERATORS[type(node.op)](_calculate(node.operand, values))
            case ast.Call(func=ast.Name(id=called)):
                return FUNCTIONS[called](*(_calculate(one, values) for one in node.args))
    except (ArithmeticError, ValueError, TypeError) as error:
        raise InputError(f"{ast.unparse(node)!r} cannot be calculated: {error}") from error
    raise InputError(f"{ast.unparse(node)!r} is no arithmetic")
