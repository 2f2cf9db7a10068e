"""A submission: by a program that stands in for Kaggle's client, and by the client itself."""

import json
import os
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import numpy as np
import pytest

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.submission import write_submission
from phoneme_lightning.sweep.kaggle import COMPETITION, submit
from phoneme_lightning.sweep.scores import project_table

CLIENT = '''#!{python}
"""`kaggle competitions submit|submissions`: its words as the client of version 2.2 prints them."""
import json, os, sys
from pathlib import Path
state = Path(__file__).parent
word = json.loads((state / "behaviour.json").read_text())
listed = json.loads((state / "listed.json").read_text())
with (state / "calls.txt").open("a") as calls:
    print(*sys.argv[1:], file=calls)
if word == "no token":
    print("Authentication required to call the Kaggle API.\\n\\nFirst, you will need ...")
    sys.exit(1)
if sys.argv[2] == "submit":
    if word == "limit":
        print("400 Client Error: token " + os.environ["KAGGLE_API_TOKEN"] + ": Submission not "
              "allowed: Your team has used its daily Submission allowance (5) today, please try "
              "again tomorrow UTC (4.2 hours from now).", file=sys.stderr)
        sys.exit(1)
    if word == "lost":
        print("Could not submit to competition")
        sys.exit(0)
    message = sys.argv[sys.argv.index("-m") + 1]
    (state / "listed.json").write_text(json.dumps([[message, 0], *listed]))
    print("Successfully submitted to ML2023Spring-HW2")
elif not listed:
    print("No submissions found")
else:
    print("Warning: Looks like you're using an outdated API Version")
    print("ref,fileName,date,description,status,publicScore,privateScore")
    for n, (message, asked) in enumerate(listed):
        done = word == "scores" and asked > 1
        status = "ERROR" if word == "refuses" else "COMPLETE" if done else "PENDING"
        score = "0.83125,0.12345" if done else ","
        print(f'{{n}},prediction.csv,2026-11-22,"{{message}}",SubmissionStatus.{{status}},{{score}}')
    asked = [[message, asked + 1] for message, asked in listed]
    (state / "listed.json").write_text(json.dumps(asked))
'''


@pytest.fixture
def run(tmp_path):
    """Give a run on libriphone with its prediction."""
    folder = tmp_path / "runs" / "rnn" / "one"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("resolved: {corpus: libriphone}\n")
    write_submission(folder / "prediction.csv", [np.arange(41)], 41)
    return folder


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Give the folder of a client that stands in on the PATH, and the calls made to it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "kaggle"
    program.write_text(CLIENT.format(python=sys.executable))
    program.chmod(0o755)
    (folder / "listed.json").write_text('[["another, older one 0123", 5]]')
    (folder / "calls.txt").touch()
    # Nothing beside the interpreter: the stand-in is what the PATH finds.
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "s3cret-token")
    return folder


def send(run, client, behaviour, **settings):
    (client / "behaviour.json").write_text(json.dumps(behaviour))
    return submit(
        run,
        message="the best",
        root=run.parents[1],
        **{"poll_seconds": 0.01, "timeout_seconds": 60.0} | settings,
    )


def uploads(client):
    return [line for line in (client / "calls.txt").read_text().splitlines() if " submit " in line]


def test_the_public_score_is_awaited_and_recorded_and_the_private_one_is_not(run, client):
    assert send(run, client, "scores") == 0.83125
    [call] = uploads(client)
    assert call.startswith(f"competitions submit {COMPETITION} -q -f {run / 'prediction.csv'} -m ")
    assert "the best" in call
    [score] = project_table(run.parents[1])
    assert (score.model, score.public, score.corpus) == ("rnn/one", 0.83125, "libriphone")
    assert "0.12345" not in (run.parents[1] / "scores.jsonl").read_text()


def test_a_wait_that_was_cut_off_goes_on_without_a_second_upload(run, client):
    with pytest.raises(InputError, match=r"no score .*submit again"):
        send(run, client, "stays pending", timeout_seconds=0.0)
    assert send(run, client, "scores") == 0.83125
    assert len(uploads(client)) == 1


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("no token", "kaggle auth login.*access_token"),
        ("limit", "no more submissions.*daily Submission allowance.*4.2 hours"),
        ("lost", "Could not submit"),
        ("refuses", "could not score"),
    ],
)
def test_what_goes_wrong_is_one_line_without_the_secret(run, client, behaviour, words):
    with pytest.raises(InputError, match=words) as caught:
        send(run, client, behaviour)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert not (run.parents[1] / "scores.jsonl").exists()


def test_what_cannot_be_submitted_is_refused_before_anything_is_sent(run, client):
    (run / "config.yaml").write_text("resolved: {corpus: spoken}\n")
    with pytest.raises(InputError, match="built-in corpus"):
        send(run, client, "scores")
    (run / "prediction.csv").unlink()
    with pytest.raises(InputError, match="phoneme-cli predict --ckpt_path"):
        send(run, client, "scores")
    assert not (client / "calls.txt").read_text()


def test_without_the_client_the_extra_is_named(run, client):
    (client / "kaggle").unlink()
    if shutil.which("kaggle"):
        pytest.skip("the real client is on the PATH")
    with pytest.raises(InputError, match=r"phoneme-lightning\[kaggle\]"):
        send(run, client, "scores")


class Kaggle(BaseHTTPRequestHandler):
    """What the real client asks of Kaggle for one submission."""

    uploaded: bytes = b""
    submissions: list = []  # noqa: RUF012 (one server, one test)

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def read(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self):
        type(self).uploaded = self.read()
        self.answer({})

    def do_POST(self):
        asked = json.loads(self.read() or b"{}")
        service = self.path.rsplit("/", 1)[-1]
        if service == "IntrospectToken":
            self.answer({"active": True, "username": "somebody"})
        elif service == "StartSubmissionUpload":
            self.answer({"token": "blob", "createUrl": f"http://{self.headers['Host']}/upload"})
        elif service == "CreateSubmission":
            told = {"ref": 1, "description": asked["submissionDescription"], "status": "PENDING"}
            type(self).submissions.append(told)
            self.answer({"message": "Successfully submitted", "ref": 1})
        elif service == "ListSubmissions":
            self.answer({"submissions": self.submissions})
            for told in self.submissions:
                told |= {"status": "COMPLETE", "publicScore": "0.7", "privateScore": "0.1"}
        else:
            self.answer({})

    def log_message(self, *args):
        pass


REAL = """#!{python}
import kagglesdk.kaggle_env as places
places._env_to_endpoint[places.KaggleEnv.LOCAL] = "http://127.0.0.1:{port}"
from kaggle.cli import main
main()
"""


@pytest.mark.skipif(not find_spec("kagglesdk"), reason="needs the extra `kaggle`")
def test_the_real_client_does_it_with_a_server_on_this_machine(run, tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kaggle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    program = tmp_path / "kaggle"
    program.write_text(REAL.format(python=sys.executable, port=server.server_port))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "s3cret-token")
    monkeypatch.setenv("HOME", str(tmp_path))
    try:
        score = submit(run, poll_seconds=0.1, timeout_seconds=60.0, root=run.parents[1])
    finally:
        server.shutdown()
        server.server_close()
    assert score == 0.7
    assert Kaggle.uploaded == (run / "prediction.csv").read_bytes()
    [submission] = Kaggle.submissions
    assert submission["description"].startswith("rnn/one ")
