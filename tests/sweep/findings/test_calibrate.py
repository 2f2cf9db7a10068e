import re
from pathlib import Path

from phoneme_lightning.sweep.findings.calibrate import (
    BEGIN,
    CLEAN,
    END,
    LEAST_FOUND,
    MOST_BLOCKED,
    MOST_WARNED,
    PLANTED,
    main,
)

PAGE = Path(__file__).parents[3] / "docs/findings.md"


def shares(text):
    return [float(share) / 100 for share in re.findall(r"([\d.]+) % \(", text)]


def test_the_command_writes_its_tables_between_the_marks(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nstale\n{END}\n\nafter\n")
    main(["--rounds", "1", "--write", str(page)])
    once = page.read_text()
    assert capsys.readouterr().out.strip() in once
    main(["--rounds", "1", "--write", str(page)])
    assert page.read_text() == once
    assert once.startswith(f"before\n\n{BEGIN}\n")
    assert once.endswith(f"{END}\n\nafter\n")
    assert "stale" not in once


def test_the_page_shows_a_thousand_rounds_of_each_kind_that_meet_the_bars():
    text = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert "1000 rounds of each kind" in text
    rows = {line.split(" | ")[0].lstrip("| "): line for line in text.splitlines()}
    for name in CLEAN:
        blocked, warned, *_ = shares(rows[name])
        assert blocked <= MOST_BLOCKED
        assert warned <= MOST_WARNED
    for name, planted in PLANTED.items():
        found = shares(rows[name])
        assert len(found) == len(planted.sizes)
        for size, share in zip(planted.sizes, found, strict=True):
            assert planted.bar is None or size < planted.bar or share >= LEAST_FOUND
