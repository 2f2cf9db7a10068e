"""An attempt at a trial: its folder, its process, and how that ended."""

import json
import os
import platform
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from phoneme_lightning.sweep.design import Row
from phoneme_lightning.sweep.folder import RoundFolder, write_atomically
from phoneme_lightning.sweep.launch import Handle, Job, Launcher
from phoneme_lightning.sweep.memory import OomWatch, oom_counter
from phoneme_lightning.sweep.overrides import base_settings, overrides
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.tracking import wandb_section
from phoneme_lightning.sweep.yaml12 import dump_yaml
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import Outcome, read_outcome, write_outcome
from phoneme_lightning.training.utterance_file import UTTERANCES

__all__ = ["Ended", "RunningAttempt", "last_lines", "start_attempt"]

PATIENCE_SECONDS = 30.0
TAIL_BYTES = 4096
OUTPUT = "output.txt"
"""All that the process printed; log.txt is phoneme-cli's own."""


@dataclass(frozen=True)
class Ended:
    """How an attempt ended."""

    outcome: Outcome | None
    """What the fit says of itself; None where it was interrupted."""

    cause: str | None = None
    """What interrupted it."""


class RunningAttempt:
    """An attempt whose process was started.

    Args:
        folder: the attempt's.
        facts: what attempt.json says of its beginning.
        handle: the process.
        watch: on the kernel's kills for want of memory, from before the process was started: a
            kill that it never saw coming would be taken for an interruption.
        limit: seconds that it may take; None for no limit.
        patience: seconds between SIGTERM and SIGKILL.
    """

    def __init__(
        self,
        folder: Path,
        facts: Mapping[str, Any],
        handle: Handle,
        *,
        watch: OomWatch,
        limit: float | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.folder, self.handle = folder, handle
        self._facts = dict(facts)
        self._limit, self._patience = limit, patience
        self._watch = watch
        self._began = time.monotonic()
        self._stopped = ""
        self._kill_at = float("inf")

    def poll(self) -> Ended | None:
        """Say how it ended; None while it runs. To be asked every second or so."""
        out_of_memory = self._watch.struck()
        code = self.handle.poll()
        if code is None:
            now = time.monotonic()
            if self._limit is not None and now - self._began > self._limit:
                self.stop("timeout")
            if now > self._kill_at:
                self.handle.kill()
            return None
        self.handle.kill()  # what it left behind
        out_of_memory = code == -signal.SIGKILL and (self._watch.struck() or out_of_memory)
        return self._end(code, out_of_memory and not self._stopped)

    def stop(self, cause: str) -> None:
        """Ask it to end, by SIGTERM; soon after it is killed. The first cause counts."""
        if not self._stopped:
            self._stopped = cause
            self._kill_at = time.monotonic() + self._patience
            self.handle.terminate()

    def abandon(self) -> None:
        """Kill it at once and write nothing: the trial is another worker's now."""
        self.handle.kill()
        self.handle.wait()

    def _end(self, code: int, out_of_memory: bool) -> Ended:
        outcome = read_outcome(self.folder)
        if outcome is None and out_of_memory:
            outcome = self._write_out_of_memory()
        cause = None if outcome else self._stopped or _describe(code, self.folder / OUTPUT)
        self._facts |= {"ended": _now(), "exit_code": code, "interrupted": cause}
        with suppress(OSError):  # of a full disk, or a folder that somebody deleted
            _write_facts(self.folder, self._facts)
        return Ended(outcome, cause)

    def _write_out_of_memory(self) -> Outcome | None:
        rows = read_metrics(self.folder / "metrics.csv")
        outcome = Outcome(
            "infeasible",
            cause="memory",
            message="the kernel killed it, since the machine's memory was not enough",
            step=int(max((row["step"] for row in rows), default=0)),
            seconds=round(time.monotonic() - self._began, 3),
        )
        try:
            write_outcome(self.folder, outcome)
        except OSError:
            return None
        return outcome


def last_lines(output: Path, count: int) -> list[str]:
    """Give the last lines of what a process printed, however much that was; none without any."""
    try:
        with output.open("rb") as file:
            file.seek(max(0, output.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.strip().splitlines()[-count:]]


def _describe(code: int, output: Path) -> str:
    """Give the cause of an end without an outcome."""
    if code in (-signal.SIGTERM, 128 + signal.SIGTERM):
        return "terminated"
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"killed by {names.get(-code, f'signal {-code}')}"
    lines = last_lines(output, 1)
    said = f"it said last: {lines[0]}" if lines else "it said nothing"
    return f"exit code {code} without an outcome; {said}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    write_atomically(folder / "attempt.json", json.dumps(facts, indent=2) + "\n")


def start_attempt(
    folder: RoundFolder,
    round: Round,
    row: Row,
    attempt: int,
    launcher: Launcher,
    env: Mapping[str, str] | None = None,
) -> RunningAttempt:
    """Start an attempt at a trial, from the last checkpoint of an earlier one if there is any.

    Args:
        folder: of the round.
        round: what it is.
        row: the trial.
        attempt: its number, from 1.
        launcher: starts its process.
        env: environment variables besides this process's own.

    Raises:
        FileExistsError: the attempt was started before.
        OSError: there is no room for its files or its process.
    """
    into = folder.attempt(row.trial, attempt)
    earlier = [path for path in folder.attempts(row.trial) if path != into]
    into.mkdir(parents=True)
    settings = overrides(round, row, base_settings(folder.base_configs()))
    settings["wandb"] = wandb_section(folder, round, row, attempt, settings)
    run = {"pictures": False, **settings.get("run", {}), "name": row.trial, "folder": str(into)}
    file = into / "overrides.yaml"
    file.write_text(dump_yaml({**settings, "run": run}), encoding="utf-8")
    checkpoint = _go_on_from(earlier, into)
    words = [word for config in folder.base_configs() for word in ("--config", str(config))]
    if checkpoint:  # it holds the base configs
        words = ["--ckpt_path", str(checkpoint)]
    argv = ["phoneme-cli", "fit", *words, "--config", str(file)]
    facts: dict[str, Any] = {
        "worker": f"{platform.node()}:{os.getpid()}",
        "host": platform.node(),
        "pid": None,
        "started": _now(),
        "argv": argv,
        "ended": None,
        "exit_code": None,
        "interrupted": None,
    }
    _write_facts(into, facts)
    job = Job(argv, into / OUTPUT, Path.cwd(), round.budget.threads, env or {})
    watch = OomWatch(oom_counter())
    handle = launcher.launch(job)
    facts["pid"] = handle.pid
    _write_facts(into, facts)
    limit = round.budget.trial_time
    return RunningAttempt(into, facts, handle, watch=watch, limit=limit)


def _go_on_from(earlier: list[Path], into: Path) -> Path | None:
    """Copy the newest attempt that left a whole checkpoint; give the copy of that checkpoint."""
    for path in reversed(earlier):
        last = path / "checkpoints" / "last.ckpt"
        if not (_is_whole(last) and (path / "config.yaml").is_file()):
            continue
        for name in ("config.yaml", "metrics.csv", UTTERANCES):
            if (path / name).is_file():
                shutil.copyfile(path / name, into / name)
        (into / "checkpoints").mkdir()
        files = [file for file in last.parent.glob("*.ckpt") if file != last]
        for file in (*files, last):  # last.ckpt at last: a copy cut short must not be gone on from
            shutil.copyfile(file, into / "checkpoints" / file.name)
        return into / "checkpoints" / "last.ckpt"
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        with ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except Exception:  # zipfile has one for each kind of garbage
        return False
