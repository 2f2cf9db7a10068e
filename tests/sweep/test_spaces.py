import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.spaces import Categorical, Int, Log, Uniform

COORDINATES = st.floats(0, 1)
POSITIVE = st.floats(1e-300, 1e300)
NUMBERS = st.floats(-1e150, 1e150)


def bounds(numbers):
    return st.tuples(numbers, numbers).map(sorted).filter(lambda pair: pair[0] < pair[1])


@given(bounds(POSITIVE), COORDINATES)
def test_a_log_never_leaves_its_bounds(pair, coordinate):
    low, high = pair
    assert low <= Log(low, high).at(coordinate) <= high


@given(bounds(NUMBERS), COORDINATES)
def test_a_uniform_never_leaves_its_bounds(pair, coordinate):
    low, high = pair
    assert low <= Uniform(low, high).at(coordinate) <= high


@given(bounds(st.integers(1, 10**9)), st.booleans(), COORDINATES)
def test_an_int_is_whole_and_never_leaves_its_bounds(pair, log, coordinate):
    value = Int(*pair, log=log).at(coordinate)
    assert type(value) is int
    assert pair[0] <= value <= pair[1]


def test_the_lower_bound_of_a_log_is_reached_where_exp_of_its_log_is_below_it():
    assert math.exp(math.log(1e-5)) < 1e-5  # else this test shows nothing
    assert Log(1e-5, 1.0).at(0.0) == 1e-5


@given(st.floats(0, 1, exclude_max=True))
def test_a_coordinate_comes_back(coordinate):
    for space in (Log(1e-5, 10.0), Uniform(-3.0, 7.0)):
        assert space.coordinate(space.at(coordinate)) == pytest.approx(coordinate, abs=1e-9)


def test_each_whole_number_and_each_choice_gets_its_share():
    steps = [(place + 0.5) / 300 for place in range(300)]
    assert [list(map(Int(1, 3).at, steps)).count(value) for value in (1, 2, 3)] == [100] * 3
    choices = Categorical(["a", None, [1, 2]])
    assert [list(map(choices.at, steps)).count(value) for value in choices.choices] == [100] * 3
    assert [choices.at(choices.coordinate(value)) for value in choices.choices] == choices.choices


def test_what_lies_outside_has_a_coordinate_outside():
    space = Log(1e-3, 1e-1)
    assert space.coordinate(0) < 0
    assert space.coordinate(1e-4) == pytest.approx(-0.5)
    assert Uniform(0, 2).coordinate(3) == 1.5
    assert [space.holds(value) for value in (1e-3, 1e-1, 0.2, True, "x", None)] == [True] * 2 + [
        False
    ] * 4
    assert Int(1, 4).holds(3.0)
    assert not Int(1, 4).holds(2.5)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Log(0, 1), "low is 0: give a number above 0"),
        (lambda: Log(-1, 1), "low is -1"),
        (lambda: Uniform(2, 1), "high is 1: give a number above low, which is 2"),
        (lambda: Uniform(0, math.inf), "high is inf"),
        (lambda: Uniform(math.nan, 1), "low is nan"),
        (lambda: Int(0, 8, log=True), "low is 0"),
        (lambda: Log(1e-4, 1, hard=[1e-3, None]), "hard is"),
        (lambda: Log(1e-4, 1, hard=[None, 0.5]), "hard is"),
        (lambda: Log(1e-4, 1, hard=[1]), "hard is"),
        (lambda: Categorical([]), "choices is"),
        (lambda: Categorical(["a", "a"]), "choices has 'a' twice"),
    ],
)
def test_a_space_that_cannot_be_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_hard_limits_may_be_the_bounds_themselves():
    assert Uniform(0, 1, hard=[0, 1]).hard == [0, 1]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2h", 7200), ("1h30m", 5400), ("0.5s", 0.5), ("1d", 86400)]
)
def test_a_duration_has_a_unit(text, seconds):
    assert Duration(text) == seconds
    assert Duration(str(Duration(text))) == seconds
    assert pickle.loads(pickle.dumps(Duration(text))) == seconds


@given(st.integers(0, 10**9))
def test_a_duration_comes_back_as_text(seconds):
    assert Duration(str(Duration(f"{seconds}s"))) == seconds


@pytest.mark.parametrize("text", ["90", 90, "h", "-3s", "2 h", "", None, "1e3s"])
def test_what_has_no_unit_is_no_duration(text):
    with pytest.raises(ValueError, match="no duration: write 90s"):
        Duration(text)
