"""phoneme-data: what it prints, writes, and leaves with."""

import json
import subprocess
import sys

import pytest

from phoneme_lightning.corpora.quarantine import parse_share
from phoneme_lightning.data_cli import main
from phoneme_lightning.errors import InputError, run_command
from phoneme_lightning.phones import PHONES


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run phoneme-data in an empty folder; give its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["phoneme-data", *map(str, words)])
        with pytest.raises(SystemExit) as leaving:
            main()
        return leaving.value.code or 0, *capsys.readouterr()

    return run


def test_check_leaves_with_1_where_anything_is_wrong(command, tiny_store):
    assert command("check", tiny_store.path) == (0, f"{tiny_store.path}: sound\n", "")
    (tiny_store.path / "labels.npy").unlink()
    code, out, _ = command("check", tiny_store.path)
    assert (code, out) == (1, f"labels.npy: missing\n{tiny_store.path}: 1 problem(s)\n")


def test_info_counts_the_same_in_tables_and_in_json(command, tiny_store):
    code, out, _ = command("info", tiny_store.path, "--json")
    description = json.loads(out)
    assert code == 0
    assert description["frames"] == len(tiny_store.features)
    for rows in description["splits"].values():
        assert sum(row["utterances"] for row in rows.values()) == 16
    assert description["splits"]["speaker"]["validation"]["speakers_in_train"] == 0
    assert description["splits"]["utterance"]["validation"]["speakers_in_train"] > 0
    shares = [row["share"] for row in description["phones"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    code, out, _ = command("info", tiny_store.path)
    assert code == 0
    assert f"{len(tiny_store.features):,}" in out
    assert all(phone in out for phone in PHONES)


def test_show_draws_the_first_validation_utterance_or_the_one_asked_for(command, tiny_store):
    first = tiny_store.ids[tiny_store.split("utterance", "validation")[0]]
    assert command("show", tiny_store.path)[:2] == (0, f"{first}.png\n")
    code, *_ = command("show", tiny_store.path, "101-1-0001", "--out", "a/b.pdf")
    assert code == 0
    code, _, err = command("show", tiny_store.path, "101-1-001")
    assert code == 2
    assert "is it " in err
    assert "101-1-0001" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "required: COMMAND"),
        (["prepare"], "required: CORPUS"),
        (["prepare", "libriphone"], "required: source"),
        (["prepare", "libriphone", "nowhere"], "source is nowhere"),
        (["prepare", "libriphone", "x", "--max-bad", "2"], "--max-bad is '2'"),
        (["prepare", "libriphone", "x", "--seed", "one"], "--seed: 'one' must be a whole number"),
        (["prepare", "timit", "nowhere", "--seed", "-1"], "--seed: '-1' must be a whole"),
        (["prepare", "spoken", "--minutes", "0"], "minutes is 0"),
        (["prepare", "spoken", "--workers", "0"], "workers is 0"),
        (["check", "nowhere"], "no frame store at nowhere"),
        (["info", "x", "--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(command, words, said):
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["phoneme-data", "check", "--debug", "nowhere"])
    with pytest.raises(InputError, match="no frame store at nowhere"):
        main()


def test_an_interrupt_is_one_line_and_130(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit) as leaving:
        run_command(interrupted)
    assert leaving.value.code == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


@pytest.mark.parametrize("said", [1, 100_000])
def test_a_reader_that_is_gone_is_no_error(said):
    program = f"""
import sys
from phoneme_lightning.errors import run_command
sys.stdin.read()
run_command(lambda: print({said} * "said"))
"""
    command = [sys.executable, "-c", program]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipe) as process:
        process.stdout.close()
        process.stdin.close()  # now it speaks
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.parametrize("kind", [InputError, OSError])
def test_no_error_shows_the_password_of_a_url(kind, monkeypatch, capsys):
    def fails():
        raise kind("no postgresql://me:pa55word@host/studies")

    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit):
        run_command(fails)
    assert "error: no postgresql://me:***@host/studies" in capsys.readouterr().err


def test_another_pipe_that_breaks_is_an_error(monkeypatch, capfd):
    def broken():
        raise BrokenPipeError("a worker is gone")

    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit) as leaving:
        run_command(broken)
    assert leaving.value.code == 2
    assert "a worker is gone" in capfd.readouterr().err


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.01", 0.01), ("100%", 1), ("0", 0)])
def test_a_share_is_read_in_both_ways(text, share):
    assert parse_share("--max-bad", text) == share


@pytest.mark.parametrize("text", ["", "%", "x", "101%", "-1%", "nan", "1 percent"])
def test_what_is_no_share_is_named(text):
    with pytest.raises(InputError, match="--max-bad is '"):
        parse_share("--max-bad", text)


def test_looking_into_a_store_loads_no_torch(tiny_store):
    program = f"""
import sys
sys.argv[1:] = ["info", {str(tiny_store.path)!r}]
from phoneme_lightning.data_cli import main
try:
    main()
finally:
    assert not {{"torch", "lightning", "wandb", "matplotlib"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
