import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.constraints import check_constraints, violated
from phoneme_lightning.sweep.expressions import calculate, names_in, parse

CONFIG = {
    "model": {"backbone": {"init_args": {"dim": 96, "dropout": 0.1, "projection": None}}},
    "trainer": {"max_steps": 400},
}
DIM = "model.backbone.init_args.dim"


@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        ("parameters <= 0.8e6", True),
        ("parameters < 700000", False),
        ("parameters >= 7e5", True),
        (f"{DIM} == 96", True),
        (f"{DIM} != 96", False),
        (f"50 < {DIM} <= 96", True),
        (f"50 < {DIM} <= 95", False),
        (f"{DIM} * 2 + 1 > trainer.max_steps / 2", False),
        (f"max({DIM}, 2 ** 10) <= parameters", True),
    ],
)
def test_a_comparison_is_held_to(constraint, holds):
    check_constraints([constraint])
    assert violated([constraint], CONFIG, 700_000) == (None if holds else constraint)


def test_the_first_violated_one_is_told():
    broken = ["parameters < 10", f"{DIM} < 10"]
    assert violated(["parameters > 0", *broken], CONFIG, 100) == broken[0]


def test_weights_that_were_not_counted_violate_nothing():
    assert violated(["parameters < 10", f"{DIM} < 10"], CONFIG, None) == f"{DIM} < 10"


@pytest.mark.parametrize(
    "text",
    [
        "parameters",
        "parameters <=",
        "parameters in [1]",
        "model.schedule == 'cosine'",
        "__import__('os').system('x') < 1",
        "open('x') < 1",
        "parameters < True",
        "f(parameters) < 1",
        "[1][0] < 2",
        "(lambda: 1)() < 2",
        "parameters % 2 == 0",
        "round(parameters, ndigits=2) < 1",
        "",
    ],
)
def test_anything_else_is_refused_where_it_is_written(text):
    with pytest.raises(InputError, match=r"^constraints\[1\]: "):
        check_constraints(["parameters > 1", text])


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ("model.backbone.init_args.dmi < 3", "dmi is not there"),
        ("model.backbone.init_args.projection < 3", "projection is None, which is no number"),
        ("1 / (trainer.max_steps - 400) < 3", "cannot be calculated"),
    ],
)
def test_a_key_that_is_no_number_is_named(constraint, said):
    with pytest.raises(InputError, match=said):
        violated([constraint], CONFIG, 1)


NUMBERS = st.integers(-20, 20) | st.floats(-20, 20)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_arithmetic_is_python_s(a, b, c):
    values = {"a.a": a, "b": b, "c": c}
    text = "min(-a.a * (b - c), 3) + max(b, c, 0.5) * 2 + round(a.a)"
    expected = min(-a * (b - c), 3) + max(b, c, 0.5) * 2 + round(a)
    assert calculate(parse(text), values) == expected
    assert names_in(parse(text)) == ["a.a", "b", "c", "b", "c", "a.a"]


def test_round_gives_a_whole_number():
    value = calculate(parse("round(0.05 * trainer.max_steps)"), {"trainer.max_steps": 410})
    assert (value, type(value)) == (20, int)
    assert type(calculate(parse("2 ** 3"), {})) is int


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["9 ** 9 ** 9", "(0 - 8) ** 0.5", "1e308 * 10", "1 / 0"])
def test_what_has_no_value_is_said_at_once(text):
    with pytest.raises(InputError):
        calculate(parse(text), {})
