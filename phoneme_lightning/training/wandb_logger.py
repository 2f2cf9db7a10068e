"""Weights & Biases: online with a key, offline without, and never in the way of a fit."""

import os
from dataclasses import dataclass
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from phoneme_lightning.training.metrics_csv import read_metrics
from phoneme_lightning.training.run import say

if TYPE_CHECKING:
    from lightning.pytorch.loggers import WandbLogger

__all__ = ["WandbSettings", "finish_wandb", "start_wandb"]

HOST = "api.wandb.ai"
START_TIMEOUT_SECONDS = 30.0


@dataclass
class WandbSettings:
    """How a fit is tracked in Weights & Biases."""

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """auto is what WANDB_MODE says, else online where an API key is found, else offline."""

    project: str = "phoneme-lightning"
    """Project under which runs are filed."""

    group: str | None = None
    """Name that ties runs together."""

    tags: list[str] | None = None
    """Words to find runs by."""


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc(os.environ.get("NETRC")).authenticators(HOST) is not None
    except (OSError, NetrcParseError):
        return False


def _mode(settings: WandbSettings) -> Literal["online", "offline", "disabled"]:
    if settings.mode != "auto":
        return settings.mode
    environment = os.environ.get("WANDB_MODE", "")
    if environment in ("online", "offline", "disabled"):
        return cast(Literal["online", "offline", "disabled"], environment)
    return "online" if _has_key() else "offline"


def start_wandb(
    settings: WandbSettings, folder: Path, name: str, config: dict[str, Any]
) -> "WandbLogger | None":
    """Begin tracking, or say why not.

    A run that is resumed offline becomes a new offline run that holds the earlier metrics too,
    since W&B keeps two offline runs of one id apart.

    Args:
        settings: the `wandb` section of the config.
        folder: the run's folder; W&B's own files go there.
        name: shown name of the run.
        config: the whole resolved config.

    Returns:
        The logger, or None where W&B is disabled, not installed or out of reach.
    """
    mode = _mode(settings)
    if mode == "disabled":
        return None
    try:
        import wandb
        from lightning.pytorch.loggers import WandbLogger

        run = wandb.init(
            project=settings.project,
            name=name,
            id=folder.resolve().name,
            dir=folder,
            mode=mode,
            resume="allow" if mode == "online" else None,
            group=settings.group,
            tags=settings.tags,
            config=config,
            settings=wandb.Settings(silent=True, init_timeout=START_TIMEOUT_SECONDS),
        )
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        run.define_metric("val/frame_accuracy", step_metric="trainer/global_step", summary="max")
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        say(
            f"Weights & Biases is not used ({reason[0]}): everything is in {folder / 'metrics.csv'}"
        )
        return None
    if mode == "offline":
        for row in read_metrics(folder / "metrics.csv"):
            run.log({"trainer/global_step": row.pop("step"), **row})
        say(
            "Weights & Biases logs offline, since no API key was found: look with "
            f"`wandb leet {folder / 'wandb'}`, upload with `wandb sync {Path(run.dir).parent}`"
        )
    else:
        say(f"Weights & Biases: {run.url}")
    return WandbLogger(experiment=run)


def finish_wandb(logger: "WandbLogger | None", pictures: dict[str, Path]) -> None:
    """Log a run's pictures and close it.

    Args:
        logger: as `start_wandb` gave it.
        pictures: name -> PNG file.
    """
    if logger is None:
        return
    import wandb

    try:
        run = logger.experiment
        run.log({name: wandb.Image(str(path)) for name, path in pictures.items()})
        run.finish()
    except Exception as error:
        say(f"Weights & Biases did not take the end of the run ({error}); the run's folder has it")
