"""The rounds that come along: whole, commented, beyond the playbook's objections, and real."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from phoneme_lightning.sweep.check import check_points
from phoneme_lightning.sweep.cli import build_parser
from phoneme_lightning.sweep.constraints import violated
from phoneme_lightning.sweep.design import design
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.lint import lint
from phoneme_lightning.sweep.round_file import make_quick, parse_round, read_round
from phoneme_lightning.sweep.yaml12 import load_yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "sweeps").glob("*.yaml"))

every_round = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@every_round
def test_every_key_has_a_comment_and_comments_stand_in_a_column(file):
    lines = file.read_text("utf-8").splitlines()
    head = next(at for at, line in enumerate(lines) if not line.startswith("#"))
    assert head >= 2
    rows = [
        (line, re.fullmatch(r" *(?:- )?([\w.-]+):(?: (\S.*?))?(?:  +(# .+))?", line))
        for line in lines[head:]
    ]
    bare = {"goal", "overrides", "objective", "budget", "training", "scientific", "nuisance"}
    bare |= {"conditional", "derived", "fixed", "caveats", "constraints", "sampler", "divergence"}
    bare |= {"quick", "values", "init_args"}
    for line, row in rows:
        if row and not row[3]:
            assert row[1] in bare, line
            assert not row[2], line
    assert len({line.index("  # ") for line in lines[head:] if "  # " in line}) == 1
    assert max(map(len, lines)) <= 100


@every_round
def test_the_playbook_objects_to_nothing(file, monkeypatch):
    monkeypatch.chdir(ROOT)
    round = read_round(file)
    assert round.name == file.stem
    for cut in (round, make_quick(round)):
        assert not [str(found) for found in lint(cut) if found.severity != "info"]


@every_round
def test_phoneme_cli_takes_every_point_and_no_constraint_forbids_one(file, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    whole = read_round(file)
    for round in (whole, make_quick(whole)):
        folder = RoundFolder(tmp_path / round.name)
        folder.configs.mkdir(parents=True)
        for number, config in enumerate(round.base):
            shutil.copyfile(config, folder.configs / f"{number}-{Path(config).name}")
        rows = design(round) if round.phase == "explore" else []
        # The corners and the first point of each arm; a run looks at all of them.
        first = [row for row in rows if row.point == 0]
        checked = check_points(folder, round, first)
        assert len(checked) == len(first)
        for name, one in checked.items():
            assert violated(round.constraints, one.config, one.parameters) is None, name
            steps, every = (one.config["trainer"][k] for k in ("max_steps", "val_check_interval"))
            assert steps >= 3 * every or not round.evidence
            assert steps >= every


@every_round
def test_a_demonstration_is_a_small_part_of_the_round(file):
    whole = read_round(file)
    quick = make_quick(whole)
    assert quick.budget.points * quick.training.steps * 20 <= (
        whole.budget.points * whole.training.steps
    )


def test_the_table_tells_of_every_round():
    page = (ROOT / "sweeps/README.md").read_text("utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.yaml\) \| .+ \| (\d+) \|$", page, re.M)
    counted = []
    for file in FILES:
        round = read_round(file)
        fits = len(design(round)) if round.phase == "explore" else round.budget.points
        counted.append((file.stem, file.stem, str(fits)))
    assert sorted(rows) == counted


def test_the_page_s_example_and_commands_are_understood():
    page = (ROOT / "docs/rounds.md").read_text("utf-8")
    storages, example = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    least = {
        "goal": {"question": "?"},
        "base": ["configs/rnn.yaml"],
        "budget": {"points": 2},
        "training": {"steps": 2, "evaluate_every": 1},
    }
    round = parse_round({**load_yaml(example, "page"), **least}, "example")
    assert {row.arm for row in design(round)} == {"SGD", "AdamW"}
    for line in storages.splitlines():
        told = {**load_yaml(line, "page"), **least, "budget": {"points": 1}}
        assert parse_round(told, "example").storage.url in line
    commands = re.findall(r"^\$ phoneme-sweep (.*)", page, re.M)
    assert len(commands) >= 8
    for command in commands:
        build_parser().parse_args(shlex.split(command, comments=True))


def test_what_a_round_follows_from_is_there_too():
    for file in FILES:
        told = yaml.safe_load(file.read_text("utf-8"))
        named = {told["goal"].get("parent"), *told.get("sampler", {}).get("learn_from", ())}
        assert named - {None} <= {other.stem for other in FILES}
