"""The table of findings on the screen."""

from rich.console import Console

from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.show import findings_table


def shown(*findings):
    console = Console(width=200)
    with console.capture() as seen:
        console.print(findings_table(findings))
    return seen.get()


def test_what_is_said_of_several_arms_is_said_once():
    text = shown(
        *(Finding("density", "unknown", f"Too few of {arm}.", arm=arm) for arm in ("a", "b", "c")),
        Finding("density", "warn", "Too few of d.", arm="d"),
    )
    assert text.count("Too few") == 2
    assert "Too few of a, b and c." in text
    assert "Too few of d." in text


def test_an_arm_that_reads_like_a_figure_is_not_taken_for_one():
    found = [
        Finding("gradients", "info", f"Of {arm} 90% lie below {bound}.", arm=arm)
        for arm, bound in (("0", "0.4"), ("0.3", "0.4"), ("0.4", "0.4"))
    ]
    text = shown(*found)
    assert "Of 0 and 0.3 90% lie below 0.4." in text
    assert "Of 0.4 90% lie below 0.4." in text


def test_the_same_sentence_twice_is_said_once():
    twice = [Finding("phones", "info", "Silence leads.", arm=arm) for arm in ("a", "b")]
    assert shown(*twice).count("Silence leads.") == 1
