"""A process that has loaded the command line once, and forks a fit in a fraction of a second."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# Each child leaves at once, as one of multiprocessing does.
PROGRAM = """
import json, os, signal, sys, traceback
import phoneme_lightning.cli as cli
for line in sys.stdin:
    words, log = json.loads(line)
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.argv[:] = words
        code = 1
        try:
            cli.main()
        except SystemExit as leaving:
            code = leaving.code
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    """Runs phoneme-cli in forked processes, one at a time."""

    def __init__(self):
        # Else the forks use the process that an earlier test's W&B has started.
        kept = {key: value for key, value in os.environ.items() if key != "WANDB_SERVICE"}
        paths = [str(HERE), kept.get("PYTHONPATH")]
        self.server = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, words, log):
        """Begin; give the process's number."""
        line = json.dumps([["phoneme-cli", *words], str(log)])
        self.server.stdin.write(line + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def wait(self):
        """Give the exit code of what was begun."""
        return int(self.server.stdout.readline())

    def run(self, words, log):
        """Begin, and give the exit code."""
        self.start(words, log)
        return self.wait()


@pytest.fixture(scope="session")
def forks():
    forks = Forks()
    yield forks
    forks.server.stdin.close()
    forks.server.wait(timeout=60)


@pytest.fixture(scope="session")
def store24(tmp_path_factory, make_store):
    """Give a synthetic store of 24 utterances."""
    return make_store(tmp_path_factory.mktemp("store24") / "store", utterances=24)


@pytest.fixture
def words(store24, tmp_path):
    """Give what makes the words of a small fit into tmp_path/run; a dot is two underscores."""

    def words(**more):
        settings = {
            "data.corpus": store24.path,
            "data.frames_per_batch": 200,
            "model.backbone": "phoneme_lightning.models.RNN",
            "model.backbone.init_args.hidden_size": 8,
            "model.warmup_steps": 2,
            "trainer.max_steps": 8,
            "trainer.val_check_interval": 2,
            "trainer.log_every_n_steps": 1,
            "trainer.enable_progress_bar": "false",
            "wandb.mode": "disabled",
            "run.folder": tmp_path / "run",
        }
        settings |= {key.replace("__", "."): value for key, value in more.items()}
        given = ((key, value) for key, value in settings.items() if value is not None)
        return ["fit", *(f"--{key}={value}" for key, value in given)]

    return words


@pytest.fixture(scope="session")
def mishap():
    """Give what makes the setting of a callback of mishaps.py."""

    def mishap(name, **settings):
        return json.dumps([{"class_path": f"mishaps.{name}", "init_args": settings}])

    return mishap


@pytest.fixture
def alone(monkeypatch):
    """Let the test's own process be phoneme-cli, which finds the callbacks of mishaps.py."""
    monkeypatch.setattr(sys, "argv", ["phoneme-cli"])
    monkeypatch.syspath_prepend(str(HERE))
