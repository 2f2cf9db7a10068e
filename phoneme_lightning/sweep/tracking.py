"""What W&B is told of a trial."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from phoneme_lightning.sweep.design import Row
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.round import Round

__all__ = ["wandb_section"]

LONGEST_TAG = 64
"""Characters; W&B takes no run that has a longer tag."""


def wandb_section(
    folder: RoundFolder, round: Round, row: Row, attempt: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the `wandb` section of a trial's config: a run in the round's group.

    The sampled values stand in it under flat and short keys, which W&B's panels need. The id is
    the same for each attempt, and another one for another setting.

    Args:
        folder: of the round.
        round: what it is.
        row: the trial.
        attempt: its number, from 1.
        settings: the trial's overrides.
    """
    configs = "".join(config.read_text(encoding="utf-8") for config in folder.base_configs())
    trained = json.dumps([round.name, row.trial, settings, configs], sort_keys=True)
    digest = hashlib.sha256(trained.encode()).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{round.name}-{row.trial}")[:55]
    identity = {
        "arm": row.arm,
        "point": row.point,
        "seed": row.seed,
        "round": round.name,
        "attempt": attempt,
    }
    return {
        "mode": round.tracking.wandb,
        "project": round.tracking.project,
        "group": round.name,
        "job_type": "trial",
        "tags": [row.arm[:LONGEST_TAG], round.phase, *([] if round.evidence else ["not evidence"])],
        "id": f"{name}-{digest}",
        "config": {**_shortened(row.values, set(identity)), **identity},
    }


def _shortened(values: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """Cut keys to their last part where that tells them apart."""
    short = [key.rpartition(".")[2] for key in values]
    names = [
        part if short.count(part) == 1 and part not in taken else key
        for key, part in zip(values, short, strict=True)
    ]
    return dict(zip(names, values.values(), strict=True))
