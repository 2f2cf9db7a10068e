"""How phoneme-cli starts and ends: what it answers without PyTorch, and how it leaves with it."""

import json
import os
import re
import subprocess
import sys

import pytest

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.entry import _needs_net, build_parser, main
from phoneme_lightning.errors import InputError
from phoneme_lightning.training.trainer import resolve_precision

MAIN = "from phoneme_lightning.entry import main; main()"
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def run(*words, before=""):
    """Run phoneme-cli in a process of its own, after a line of Python."""
    return subprocess.run([sys.executable, "-c", f"{before}\n{MAIN}", *words], **PIPES)


def commands_of(parser):
    """Give the subcommands of a parser: name -> parser."""
    [action] = [action for action in parser._actions if action.dest == "subcommand"]
    return action.choices


@pytest.fixture(scope="module")
def whole():
    """Give LightningCLI's own parser, of all subcommands."""

    class ParserOnly(PhonemeCLI):
        def parse_arguments(self, parser, args):
            self.config = {"subcommand": None}

        def _parse_ckpt_path(self):
            pass

        _set_seed = instantiate_classes = _parse_ckpt_path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["phoneme-cli"])
        return ParserOnly([]).parser


def test_the_bare_help_says_what_the_whole_parser_does(whole):
    short = build_parser()
    assert short.description == whole.description
    assert short._option_string_actions.keys() == whole._option_string_actions.keys()
    for name, action in short._option_string_actions.items():
        text = whole._option_string_actions[name].help.casefold()
        assert text.startswith(action.help.casefold())
    [action] = [action for action in short._actions if action.dest == "subcommand"]
    said = {choice.dest: choice.help for choice in action._choices_actions}
    assert said.pop("info")
    assert said.pop("ensemble")
    assert said.pop("transcribe")
    assert said.pop("export")
    assert said == {name: one.description for name, one in commands_of(whole).items()}
    assert {"ensemble", "export", "info", "transcribe", *said} == action.choices.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--help"], "usage: phoneme-cli"),
        (["-c", "some.yaml", "-h"], "usage: phoneme-cli"),
        (["info", "--help"], "usage: phoneme-cli info"),
        ([], "error: subcommand is missing: give fit, validate, test, predict, ensemble, "),
        (["fitt", "--config", "some.yaml"], "error: argument subcommand: invalid choice: 'fitt'"),
        (["ensemble", "--help"], "usage: phoneme-cli ensemble"),
        (["transcribe", "--help"], "usage: phoneme-cli transcribe"),
        (["ensemble", "--decode"], "error: the following arguments are required: CKPT"),
        (["info", "--jsn"], "error: unrecognized arguments: --jsn (see phoneme-cli --help)"),
    ],
)
def test_what_needs_no_net_is_answered_without_pytorch(words, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["phoneme-cli", *words])
    # None in its place makes an import fail.
    for library in ("torch", "lightning", "phoneme_lightning.cli", "phoneme_lightning.training"):
        monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "torch")  # so that leaving is Python's own
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    assert left.value.code == (2 if said.startswith("error") else 0)
    assert (out or err).startswith(said)


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["fit"], True),
        (["test", "--help"], True),
        (["-c", "some.yaml", "fit", "--help"], True),
        (["--print_config"], True),
        (["--config=some.yaml"], True),  # which may name the subcommand
        (["-c", "some.yaml", "--help"], False),
        (["tset", "fit"], False),
        (["info"], False),
        (["ensemble", "best.ckpt"], False),
        (["transcribe", "best.ckpt", "fit.wav"], False),
        ([], False),
    ],
)
def test_lightning_is_asked_where_it_alone_knows(words, needed):
    assert _needs_net(words) == needed


@pytest.mark.parametrize(
    "words",
    [
        ["best.ckpt", "talk.wav", "-", "--plot", "--out", "o", "--format=csv"],
        ["best.ckpt", "--plot", "talk.wav", "--out", "o", "-", "--format", "csv"],
        ["--format", "csv", "best.ckpt", "--plot", "talk.wav", "--out=o", "-"],
    ],
)
def test_options_may_stand_between_recordings(words):
    found = build_parser().parse_args(["transcribe", *words])
    assert found.words == ["best.ckpt", "talk.wav", "-"]
    assert (found.plot, found.out, found.formats) == (True, "o", ["csv"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["transcribe"], "arguments are required: CKPT|SOUND"),
        (["transcribe", "a.ckpt", "--plott", "b.wav"], "unrecognized arguments: --plott"),
        (["transcribe", "a.ckpt", "--format", "srt", "b.wav"], "invalid choice: 'srt'"),
        (["export", "a.ckpt", "--no-onnx", "b.ckpt"], "unrecognized arguments: b.ckpt"),
    ],
)
def test_a_mistyped_option_between_recordings_is_named(words, said):
    with pytest.raises(InputError, match=re.escape(said)):
        build_parser().parse_args(words)


def test_a_mistake_is_one_line_and_no_garbage_is_looked_for_on_the_way_to_it():
    whole = "lambda phase, about: about['generation'] == 2 and print('a whole collection')"
    done = run("fit", "--trainer.max_stepss=3", before=f"import gc; gc.callbacks.append({whole})")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_what_waits_for_the_end_is_done_and_python_is_not_taken_apart():
    before = (
        "import atexit, threading, time, torch\n"
        "class Kept:\n"
        "    def __del__(self): print('taken apart')\n"
        "kept = Kept()\n"
        "atexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(2)  # whose idle worker waits for the interpreter's end\n"
        "pool.submit(int).result()"
    )
    done = run("fitt", before=before)
    assert done.returncode == 2
    assert done.stdout.split("\n") == ["thread", "at exit", ""]


def test_a_reader_that_is_gone_is_no_error():
    words = [sys.executable, "-c", MAIN, "fit", "--model.backbone.help=RNN"]
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(words, env=buffered, **PIPES) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


def test_garbage_is_looked_for_again_in_what_is_new_and_a_bug_ends_with_its_traceback():
    before = (
        "import gc, phoneme_lightning.cli as cli\n"
        "def bug():\n"
        "    print(gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
        "    raise RuntimeError('a bug')\n"
        "cli.run = bug"
    )
    done = run("fit", before=before)
    assert (done.returncode, done.stdout) == (1, "True True\n")
    assert done.stderr.splitlines()[-1] == "RuntimeError: a bug"


def test_info_tells_what_a_fit_takes():
    found = json.loads(run("info", "--json").stdout)
    assert found["precision"] == resolve_precision("auto")
    assert found["fast_paths"]


def test_an_ensemble_says_in_one_line_what_is_missing():
    done = run("ensemble", "nowhere.ckpt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ckpt_path is 'nowhere.ckpt', where there is no file")
    assert done.stderr.count("\n") == 1
