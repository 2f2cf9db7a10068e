"""The table of phoneme-cli info."""

from phoneme_lightning.training.info import describe_machine, info


def test_the_table_holds_all_that_is_known(capsys):
    found = describe_machine()
    info(as_json=False)
    table = capsys.readouterr().out
    for text in (found["device"], found["name"], found["torch"], found["precision"]):
        assert text in table
    rows = dict(line.split("  ", 1) for line in table.splitlines())
    rows = {name.strip(): text.strip() for name, text in rows.items()}
    assert found["fast_paths"].items() <= rows.items()
