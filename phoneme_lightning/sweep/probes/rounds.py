"""A probe as a round: its trials are killed, resumed, tracked and shown like those of any other."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.findings.evidence import Evidence, read_evidence
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.opening import open_round
from phoneme_lightning.sweep.probes.subject import Subject
from phoneme_lightning.sweep.records import OPEN
from phoneme_lightning.sweep.round import (
    Budget,
    Divergence,
    Goal,
    Objective,
    Round,
    Scientific,
    Tracking,
    Training,
)
from phoneme_lightning.sweep.round_file import dump_round
from phoneme_lightning.sweep.running import check_round, run_round

__all__ = ["EVERY_STEP", "make_round", "run_probe"]

EVERY_STEP = {"trainer.log_every_n_steps": 1, "trainer.limit_val_batches": 1}
"""Each step's training loss is looked at, which costs nothing; of validation only a glance, at the
first batch, since all of it at every step would cost many times the training."""

NOT_A_PROBES = ("run.", "divergence.", "seed_everything", "wandb.", "trainer.val_check_interval")
"""Keys that a round has its own for, or that say where a run stands."""


def make_round(
    subject: Subject,
    kind: str,
    question: str,
    arms: Mapping[str, Mapping[str, Any]],
    training: Training,
    changes: Mapping[str, Any],
    parallel: int | None,
) -> Round:
    """Make the round of a probe: one trial an arm, each the subject but for a few keys.

    Args:
        subject: what is probed.
        kind: of the probe; the round is named after it.
        question: that it answers.
        arms: name -> dotted keys that the arm sets.
        training: how long its trials train.
        changes: dotted keys for all arms.
        parallel: trials at once; as many as fit if None.
    """
    own = {key: one for key, one in subject.settings.items() if not key.startswith(NOT_A_PROBES)}
    own.pop("trainer.max_steps", None)
    if parallel is not None and parallel < 1:
        raise InputError(f"--parallel is {parallel}: give at least 1")
    return Round(
        name=f"{subject.name}-probe-{kind}",
        phase="probe",
        goal=Goal(question, parent=subject.parent),
        base=[str(config) for config in subject.configs],
        overrides={**own, **changes},
        budget=Budget(1, parallel or "auto", subject.threads or 1),
        training=training,
        scientific={kind: Scientific({name: dict(keys) for name, keys in arms.items()})},
        objective=Objective("val/loss", "min"),
        # Curves are judged when they are whole; only what can be nothing any more is given up.
        divergence=Divergence(loss_above=None),
        seeds=[int(subject.get("seed_everything", 0))],
        tracking=Tracking(
            subject.get("wandb.mode", "auto"), subject.get("wandb.project", "phoneme-lightning")
        ),
    )


def run_probe(wanted: Round, root: Path) -> tuple[RoundFolder, Evidence] | None:
    """Run what is left of a probe's round.

    The same command goes on with the same round; where something has changed a new one begins
    beside it.

    Args:
        wanted: the round.
        root: folder of all rounds.

    Returns:
        None where it was stopped before its end.

    Raises:
        InputError: phoneme-cli refuses a trial.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / f"{wanted.name}.yaml"
        file.write_text(dump_round(wanted), encoding="utf-8")
        folder, round = open_round(file, check_round, fork=True, root=root)
    run_round(folder, round)
    evidence = read_evidence(folder)
    failed = [
        trial for trial in evidence.trials if trial.state == "failed" or trial.cause == "memory"
    ]
    if failed:
        raise InputError(
            f"{failed[0].trial} has failed, so {round.name} has no verdict ({failed[0].message}): "
            f"mend that, then phoneme-sweep retry {folder.path}, and this command again"
        )
    if any(trial.state in OPEN for trial in evidence.trials):
        print("the probe goes on with the same command")
        return None
    return folder, evidence
