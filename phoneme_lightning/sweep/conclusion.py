"""The end of a round: the leaderboard, the best trial's public score, what W&B gets."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.disk import prune_checkpoints
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.leaderboard import (
    arm_rows,
    as_table,
    mixed,
    ranked,
    title,
    trial_rows,
)
from phoneme_lightning.sweep.looks import look
from phoneme_lightning.sweep.records import TrialRecord, read_records
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.scores import name_best
from phoneme_lightning.sweep.screen import make_console

if TYPE_CHECKING:
    from phoneme_lightning.sweep.findings.evidence import Evidence
    from phoneme_lightning.sweep.findings.finding import Finding

__all__ = ["conclude", "run_phoneme_cli"]

SHOWN = 10


def conclude(folder: RoundFolder, round: Round) -> int:
    """Say what a round came to, and tidy up.

    Args:
        folder: of the round, whose trials have all ended.
        round: what it is.

    Returns:
        The exit code: 1 where trials failed, or none was completed.
    """
    records = read_records(folder, round.objective, round.retry.attempts)
    prune_checkpoints(folder, records, round.objective)
    is_probe = round.phase == "probe"  # its weights are of no use
    if not is_probe:
        _show(records, round)
    for line in mixed(records):
        print(f"mixed in one round: {line}")
    order = ranked(records, round.objective)
    if order and not is_probe:
        _look(folder, order[0], round.budget.threads)
    _learn(folder, is_tracked=round.tracking.wandb != "disabled")
    failed = [record for record in records if record.state == "failed"]
    if failed:
        print(
            f"{len(failed)} trials failed, the first of them {failed[0].trial} "
            f"({failed[0].message}): phoneme-sweep retry {folder.name}"
        )
    if not is_probe:
        print(name_best(folder.path.parent.parent))
    print(f"all of this round: {folder.path}; as one page: phoneme-sweep report {folder.name}")
    return 1 if failed or not order else 0


def _show(records: "Sequence[TrialRecord]", round: Round) -> None:
    console = make_console()
    trials, width = trial_rows(records, round.objective)[:SHOWN], console.width
    console.print(as_table(trials, title(round), width))
    if len({record.arm for record in records}) > 1:
        arms = arm_rows(records, round.objective)
        console.print(as_table(arms, title(round, "the best of each arm"), width))


def _learn(folder: RoundFolder, is_tracked: bool) -> None:
    """Judge the round, say what warns, and give W&B the round with its page."""
    from phoneme_lightning.sweep.findings.diagnose import diagnose, write_findings
    from phoneme_lightning.sweep.findings.evidence import read_evidence

    try:
        evidence = read_evidence(folder)
        # A probe goes where training breaks, and says itself what it found.
        findings = [] if evidence.round.phase == "probe" else diagnose(evidence)
        if findings:
            write_findings(folder, findings)
        for one in findings if evidence.round.evidence else ():
            if one.verdict in ("block", "warn"):
                print(f"{one.verdict}: {one.sentence}\n    {one.action or ''}".rstrip())
        if is_tracked:
            _track(folder, evidence, findings)
    except Exception as error:  # the round has ended well, whatever its report meets
        again = f"phoneme-sweep report {folder.name} --wandb"
        print(f"no report ({type(error).__name__}: {error}); once that is mended: {again}")


def _track(folder: RoundFolder, evidence: "Evidence", findings: "Sequence[Finding]") -> None:
    from phoneme_lightning.sweep.report.wandb_round import log_round
    from phoneme_lightning.sweep.report.write import write_report

    write_report(folder, evidence, findings)
    tracked = log_round(folder, evidence, findings)
    if tracked and tracked.name.startswith("offline-run"):
        print(f"W&B has tracked it offline: upload it with phoneme-sweep sync {folder.name}")


def _look(folder: RoundFolder, best: TrialRecord, threads: int) -> None:
    try:
        print(f"scoring {best.trial} on the public half of the test split", flush=True)
        seen = look(folder, best, partial(run_phoneme_cli, threads), folder.path.parent.parent)
    except InputError as error:
        print(f"the best trial, {best.trial}, has no public score: {error}")
        return
    if seen.public is None:
        print(seen.what)
    else:
        print(f"{best.trial} on the public half of the test split: {seen.public:.4f}")


def run_phoneme_cli(threads: int, arguments: list[str]) -> int:
    """Run phoneme-cli with so many CPU threads; say what it complained of; give its exit code."""
    program = Path(sys.executable).with_name("phoneme-cli")
    # More threads than a trial's would wait for one another where the cores are busy.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [str(program), *arguments], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
    return done.returncode
