"""A prediction to Kaggle and its public score back, by the official client's commands."""

import csv
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.submission import read_submission
from phoneme_lightning.sweep.scores import RUNS, add_score, corpus_of, model_name

__all__ = ["COMPETITION", "submit"]

COMPETITION = "ml2023spring-hw2"
"""The course's competition of spring 2023, whose libriphone has 3429 + 857 utterances; that of
spring 2022, with 4268 + 1078, is ml2022spring-hw2."""

SECRETS = ("KAGGLE_API_TOKEN", "KAGGLE_KEY")

NO_TOKEN = (
    "Kaggle lets nobody in here: run `kaggle auth login`, or make a token on "
    "https://www.kaggle.com/settings/api and put it into ~/.kaggle/access_token or KAGGLE_API_TOKEN"
)


def submit(
    run: Path,
    competition: str = COMPETITION,
    message: str = "",
    *,
    timeout_seconds: float = 600.0,
    poll_seconds: float = 10.0,
    root: Path = RUNS,
) -> float:
    """Upload a run's prediction.csv, wait for its public score, and record it.

    A prediction that was uploaded before, by whichever machine, is not uploaded again: its score
    is fetched. So an interrupted wait costs no submission.

    Args:
        run: the run's folder.
        competition: the last part of the competition's address.
        message: shown beside the submission; the model's name, if empty.
        timeout_seconds: how long to wait for the score.
        poll_seconds: between two questions whether it is there.
        root: folder of all runs; its scores.jsonl gets a line.

    Returns:
        Frame accuracy on the public part.

    Raises:
        InputError: there is no such prediction, no client, no token, no submission left today, or
            no score in time; or Kaggle refuses the file.
    """
    prediction = run / "prediction.csv"
    if not prediction.is_file():
        best = run / "checkpoints" / "best.ckpt"
        raise InputError(f"{run} has no prediction.csv: phoneme-cli predict --ckpt_path {best}")
    corpus = corpus_of(run)
    if corpus == "spoken":
        raise InputError(
            f"{run} was trained on the built-in corpus, whose test split Kaggle does not know: "
            "submit a run on libriphone"
        )
    read_submission(prediction)
    mark = hashlib.sha256(prediction.read_bytes()).hexdigest()[:12]
    found = _find(competition, mark)
    if found is None:
        described = f"{message or model_name(run, root)} {mark}"
        print(f"uploading {prediction} to {competition}")
        _client("submit", competition, "-q", "-f", str(prediction), "-m", described)
    score = _wait(competition, mark, found, timeout_seconds, poll_seconds)
    add_score(run, score, source=f"kaggle {competition}", root=root)
    return score


def _wait(
    competition: str, mark: str, found: dict[str, str] | None, timeout: float, poll: float
) -> float:
    from rich.console import Console

    deadline = time.monotonic() + timeout
    with Console(stderr=True).status(f"waiting for the score of {competition}"):
        while True:
            found = found or _find(competition, mark)
            status = found["status"].lower() if found else "pending"
            if found and status.endswith("error"):
                raise InputError(
                    f"Kaggle could not score the prediction {mark}: see "
                    f"https://www.kaggle.com/competitions/{competition}/submissions"
                )
            if found and status.endswith("complete") and found["publicScore"] not in ("", "None"):
                return float(found["publicScore"])
            if time.monotonic() > deadline:
                raise InputError(
                    f"no score of {competition} after {timeout:g} s"
                    + ("" if found else ", nor is the upload listed: is today's limit reached?")
                    + " (submit again: it goes on waiting, and uploads nothing twice)"
                )
            time.sleep(poll)
            found = None


def _find(competition: str, mark: str) -> dict[str, str] | None:
    """Give the newest submission whose message ends with the mark, as the client lists it."""
    text = _client("submissions", competition, "-v", "-q", "--page-size", "200")
    lines = text.splitlines()
    header = next((n for n, line in enumerate(lines) if "publicScore" in line), len(lines))
    listed = csv.DictReader(lines[header:])
    return next((row for row in listed if row["description"].endswith(mark)), None)


def _client(command: str, *arguments: str) -> str:
    """Run a command of the official client and give what it prints.

    Raises:
        InputError: the client is missing, or it refuses.
    """
    beside = Path(sys.executable).with_name("kaggle")
    program = str(beside) if beside.is_file() else shutil.which("kaggle")
    if program is None:
        raise InputError(
            "the Kaggle client is not installed: pip install 'phoneme-lightning[kaggle]'"
        )
    done = subprocess.run(
        [program, "competitions", command, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    said = f"{done.stdout}\n{done.stderr}"
    for secret in filter(None, map(os.environ.get, SECRETS)):
        said = said.replace(secret, "***")
    if "Authentication required" in said or "401 Client Error" in said:
        raise InputError(NO_TOKEN)
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "no word")
    if "allowance" in said:
        raise InputError(f"Kaggle takes no more submissions to {arguments[0]} for now: {last}")
    # The client leaves with 0 after an upload that failed and after a name that it cannot find.
    if done.returncode or "Could not" in said:
        raise InputError(f"kaggle competitions {command} {arguments[0]} failed: {last}")
    return done.stdout
