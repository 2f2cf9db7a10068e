"""What the README and the pages of docs/ say is so: commands, files, links, figures."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from phoneme_lightning import data_cli, entry
from phoneme_lightning.sweep import cli as sweep_cli

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
MADE = {  # by the commands beside them
    *("configs/mine.yaml", "configs/NAME.yaml"),
    *("sweeps/dropout_round2.yaml", "sweeps/masks_round3.yaml"),
}
FOLDERS = "benchmarks|configs|docs|notebooks|phoneme_lightning|results|sweeps|tests"

# What turns a command of the README into one of seconds.
SMALL = {
    "crnn": {"width": 2, "hidden_size": 4},
    "rnn": {"hidden_size": 4},
    "cnn": {"dim": 8, "num_blocks": 1},
    "transformer": {"dim": 8, "num_layers": 1, "num_heads": 1, "feed_forward": 8},
}

# Runs commands one after the other in one process, since each would import torch anew.
DRIVER = """
import json, sys
from phoneme_lightning import data_cli, entry
from phoneme_lightning.errors import run_command
mains = {"phoneme-cli": lambda: run_command(entry._run), "phoneme-data": data_cli.main}
for words in json.load(sys.stdin):
    print("$", *words, flush=True)
    sys.argv[:] = words
    try:
        mains[words[0]]()
    except SystemExit as leaving:
        if leaving.code:
            sys.exit(leaving.code)
"""


def run(commands, folder):
    """Run phoneme-* commands in a folder, up to the first that fails; give what they print."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(commands),
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def fenced(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def commands_of(page):
    lines = "\n".join(fenced(page, "(?:console|sh)")).splitlines()
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]


def commands_named(name):
    every = {tuple(words) for page in PAGES for words in commands_of(page)}
    return sorted(words for words in every if words[0] == name)


def test_every_command_is_of_a_kind_that_is_checked():
    kinds = {words[0] for page in PAGES for words in commands_of(page)}
    ours = {"phoneme-cli", "phoneme-data", "phoneme-sweep"}
    assert kinds <= ours | {"make", "mkdir", "pip", "source", "sox", "wandb"}


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    named = {target for page in PAGES for target in re.findall(r"`make ([\w-]+)", page.read_text())}
    assert named | {words[1] for words in commands_named("make")} <= targets


def test_every_data_command_parses():
    for words in commands_named("phoneme-data"):
        data_cli._parser().parse_args(words[1:])


def test_every_sweep_command_parses():
    assert commands_named("phoneme-sweep")
    for words in commands_named("phoneme-sweep"):
        sweep_cli.build_parser().parse_args(words[1:])


def test_every_cli_command_parses():
    every = commands_named("phoneme-cli")
    nets = [words for words in every if words[1] in entry.NETS]
    for words in every:
        entry.build_parser().parse_args(words[1:2] if words in nets else words[1:])
    run([[*words, "--print_config"] for words in nets], ROOT)


def test_every_wandb_command_exists():
    from wandb.cli.cli import cli

    said = "".join((ROOT / "phoneme_lightning/training/wandb_logger.py").read_text("utf-8"))
    spoken_of = {words[1] for words in commands_named("wandb")}
    assert spoken_of | set(re.findall(r"`wandb (\w+)", said)) <= cli.commands.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    text = page.read_text("utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    named = re.findall(rf"(?<![\w/.])(?:{FOLDERS})/[\w./-]*\w", text)
    missing += [name for name in named if name not in MADE and not (ROOT / name).exists()]
    assert not missing


def small(words):
    """Make a command that trains, or loads what was trained, one of seconds."""
    if words[:2] == ["phoneme-cli", "export"]:
        return [*words, "--no-onnx"]  # which tests of its own trace
    if words[:2] != ["phoneme-cli", "fit"]:
        return words
    last_step = 4 if "--ckpt_path" in words else 2
    words = [*words, "--trainer.max_steps", str(last_step), "--trainer.val_check_interval", "1"]
    words += ["--trainer.accelerator", "cpu", "--data.frames_per_batch", "200"]
    words += ["--run.beat_baselines_by", "0"]
    config = re.search(r"configs/(\w+)\.yaml", " ".join(words))
    for name, value in SMALL[config[1]].items() if config else ():
        words += [f"--model.backbone.init_args.{name}", str(value)]
    return words


def test_the_tour_runs_and_leaves_the_files_that_it_lists(make_store, tmp_path):
    make_store(tmp_path / "data/spoken", utterances=8)
    make_store(tmp_path / "data/libriphone", utterances=8, labelled_test=False)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "talk.wav", noise, 16_000)
    tour = [words for words in commands_of(README) if words[0] in ("phoneme-cli", "phoneme-data")]
    run([small(words) for words in tour if words[1] not in ("prepare", "info")], tmp_path)

    lists = re.findall(r"^\| `([\w./-]+)` \|", README.read_text("utf-8"), re.M)
    kept = {name for name in lists if name.split("/")[0] not in FOLDERS.split("|")}
    folder = tmp_path / "runs/first"
    left = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    # W&B is off here; the sources may be changed, or not; docs/export.md lists an export's files.
    changing = {"wandb/", "git.diff", "export/"}
    left = {name for name in left if not name.startswith("export/")}
    assert (tmp_path / "transcripts/talk.TextGrid").is_file()
    assert kept - changing == left - changing


def test_the_figures_of_the_backbones_are_the_code_s():
    from jsonargparse import ArgumentParser

    from phoneme_lightning.models.base import Backbone
    from phoneme_lightning.models.cost import count_parameters, mflops_per_frame
    from phoneme_lightning.training.classifier import PhonemeClassifier

    row = r"^\| \[`(\w+)`\]\((configs/\w+\.yaml)\) \|.*\| ([\d.]+) M \| ([\d.]+) \|$"
    rows = re.findall(row, README.read_text("utf-8"), re.M)
    assert {name for name, *_ in rows} == {file.stem for file in ROOT.glob("configs/*.yaml")}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Backbone, "backbone")
    for name, config, parameters, mflops in rows:
        settings = yaml.safe_load((ROOT / config).read_text("utf-8"))["model"]["backbone"]
        built = parser.instantiate(parser.parse_object({"backbone": settings}))
        counted = count_parameters(PhonemeClassifier(built.backbone)) / 1e6
        assert (name, f"{counted:.2f}") == (name, parameters)
        assert (name, f"{mflops_per_frame(built.backbone):.1f}") == (name, mflops)


def test_the_results_are_those_of_the_kept_runs(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "results"))
    told = runpy.run_path(str(ROOT / "results/tables.py"))
    kinds = {
        kind for page in told["PAGES"] for _, kind, _ in told["PART"].findall(page.read_text())
    }
    assert kinds == {"models", "table", "apart", "differences", "recipes", "timit"}
    for page in told["PAGES"]:
        assert told["told"](page) == page.read_text("utf-8")


def test_the_rounds_that_are_kept_are_those_of_the_table():
    kept = runpy.run_path(str(ROOT / "results/keep_round.py"))
    page = (ROOT / "results/README.md").read_text("utf-8")
    [table] = kept["TABLE"].findall(page)
    rows = kept["rows"]()
    assert len(rows) > 3
    assert table.splitlines() == rows


def test_the_story_is_that_of_the_kept_rounds():
    told = runpy.run_path(str(ROOT / "results/tell_story.py"))
    pages = [page.read_text("utf-8") for page in told["PAGES"]]
    assert sum(len(told["PART"].findall(page)) for page in pages) > 8
    assert [told["tell"](page) for page in pages] == pages


def test_a_kept_round_is_told_by_its_question_its_answer_and_its_arms():
    told = runpy.run_path(str(ROOT / "results/tell_story.py"))
    first, *_, last = told["tell"]("<!-- question: lr_round1 -->\n<!-- end -->").splitlines()[2:-2]
    assert first.startswith(
        "**Does the RNN gain from a learning rate that decays?** cosine is ahead"
    )
    assert last.startswith("| constant | 0.7406 |")


def test_the_programs_run(capsys):
    for page in PAGES:
        for program in fenced(page, "python"):
            if page.name == "export.md":
                continue  # they need an export, whose own tests run the one and call the other
            if "import ray" in program:
                compile(program, page.name, "exec")  # the page says that it has not been run
                continue
            exec(program, {})
            assert capsys.readouterr().out or "print" not in program


def test_what_is_kept_of_runs_is_small():
    sizes = [file.stat().st_size for file in (ROOT / "results").rglob("*") if file.is_file()]
    assert max(sizes) < 2e6
    assert sum(sizes) < 50e6


def test_pictures_are_small():
    for picture in (ROOT / "docs/images").iterdir():
        assert picture.stat().st_size < 200_000, picture
