"""What W&B is told of a trial."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from phoneme_lightning.sweep.design import Row
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.round import Objective, Round

__all__ = ["config_names", "summary_name", "wandb_section"]

LONGEST_TAG = 64
"""Characters; W&B takes no run that has a longer tag."""

IDENTITY = ("arm", "point", "seed", "round", "attempt")
"""What tells a trial's run apart; a hyperparameter of such a name keeps its whole key."""


def config_names(round: Round, keys: Iterable[str]) -> dict[str, str]:
    """Name hyperparameters as W&B's config has them: flat and short, as its panels need.

    Args:
        round: whose trials all get the same names.
        keys: of a trial's values, or of several.

    Returns:
        Key -> its last part where no other of the round ends alike, else the key.
    """
    conditional = (key for one in round.conditional for key in one.nuisance)
    known = dict.fromkeys([*round.scientific, *round.nuisance, *conditional, *keys])
    short = [key.rpartition(".")[2] for key in known]
    return {
        key: part if short.count(part) == 1 and part not in IDENTITY else key
        for key, part in zip(known, short, strict=True)
    }


def summary_name(objective: Objective) -> str:
    """Name the value of W&B's summary by which its panels rank the trials of a round."""
    return f"{objective.metric}.{_summarised(objective)}"


def _summarised(objective: Objective) -> str:
    return objective.mode if objective.selection == "best" else "last"


def wandb_section(
    folder: RoundFolder, round: Round, row: Row, attempt: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the `wandb` section of a trial's config: a run in the round's group.

    The id is the same for each attempt, and another one for another setting.

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
    told = (row.arm, row.point, row.seed, round.name, attempt)
    names = config_names(round, row.values)
    values = {names[key]: value for key, value in row.values.items()}
    return {
        "mode": round.tracking.wandb,
        "project": round.tracking.project,
        "group": round.name,
        "job_type": "trial",
        "tags": [row.arm[:LONGEST_TAG], round.phase, *([] if round.evidence else ["not evidence"])],
        "id": f"{name}-{digest}",
        "summary": {round.objective.metric: _summarised(round.objective)},
        "config": {**values, **dict(zip(IDENTITY, told, strict=True))},
    }
