"""What is said of utterances that cannot be used, and when they are too many."""

from contextlib import nullcontext

import pytest

from phoneme_lightning.corpora.quarantine import Damage, Quarantine
from phoneme_lightning.errors import InputError


def test_of_many_that_are_bad_the_first_are_named(capsys):
    quarantine = Quarantine()
    for number in range(23):
        quarantine.add(f"take{number}", "", Damage("empty"))
    with pytest.raises(InputError, match="23 of 99 utterances are bad"):
        quarantine.judge(99, max_bad=0.2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "quarantined 23: 23 x empty"
    assert lines[1:21] == [f"  take{number}: empty" for number in range(20)]
    assert lines[21:] == ["  and 3 more"]


@pytest.mark.parametrize(
    ("bad", "total", "how", "stops"),
    [
        *((2, 20, {"max_bad": 0.01}, False), (3, 20, {"max_bad": 0.01}, True)),
        *((3, 300, {"max_bad": 0.01}, False), (4, 300, {"max_bad": 0.01}, True)),
        *((1, 20, {"max_bad": 0}, True), (1, 20, {"max_bad": 0.5, "strict": True}, True)),
    ],
)
def test_two_may_be_bad_in_a_small_corpus_unless_it_is_strict(bad, total, how, stops):
    quarantine = Quarantine()
    for number in range(bad):
        quarantine.add(f"take{number}", "", Damage("empty"))
    with pytest.raises(InputError) if stops else nullcontext():
        quarantine.judge(total, **how)
