"""Weights & Biases: online with a key, offline without, and never in the way of a fit."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from lightning.pytorch.loggers import WandbLogger

from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.run import say

if TYPE_CHECKING:
    import wandb

__all__ = ["WandbSettings", "finish_wandb", "start_wandb"]

START_TIMEOUT_SECONDS = 20.0
FINISH_TIMEOUT_SECONDS = 60.0  # what is not uploaded by then stays in the run's folder

Mode = Literal["auto", "online", "offline", "disabled"]


@dataclass
class WandbSettings:
    """How a fit is tracked in Weights & Biases."""

    mode: Mode = "auto"
    """auto is what WANDB_MODE says, else online where an API key is found, else offline."""

    project: str = "phoneme-lightning"
    """Project under which runs are filed."""

    group: str | None = None
    """Name that ties runs together."""

    tags: list[str] | None = None
    """Words to find runs by."""

    job_type: str | None = None
    """Kind of the run, to tell runs of one group apart."""

    id: str | None = None
    """The run's own name in W&B, unlike all others; without it, that of the run's folder."""

    summary: dict[str, Literal["max", "min", "last"]] = field(
        default_factory=lambda: {"val/frame_accuracy": "max"}
    )
    """Which of a metric's values W&B's tables and scatter plots show; without one, the last."""

    config: dict[str, Any] = field(default_factory=dict)
    """More values to file the run by, which W&B's panels compare; dotted names are fine."""


def _find_mode(settings: WandbSettings) -> Literal["online", "offline", "disabled"]:
    if settings.mode != "auto":
        return settings.mode
    environment = os.environ.get("WANDB_MODE", "")
    if environment in ("online", "offline", "disabled"):
        return cast(Literal["online", "offline", "disabled"], environment)
    import wandb

    return "online" if wandb.login(prompt=False, verify=False) else "offline"


def start_wandb(
    settings: WandbSettings, folder: Path, name: str, config: dict[str, Any]
) -> WandbLogger | None:
    """Begin tracking; offline where the server is out of reach; not at all without W&B.

    A run that is resumed offline becomes a new offline run that holds the earlier metrics too,
    since W&B keeps two offline runs of one id apart.

    Args:
        settings: the `wandb` section of the config.
        folder: the run's folder; W&B's own files go there.
        name: shown name of the run.
        config: the whole resolved config.

    Returns:
        The logger, or None where W&B is disabled or does not work here.
    """
    mode: Mode = settings.mode
    try:
        mode = _find_mode(settings)
        if mode == "disabled":
            return None
        run = _start(settings, folder, name, config, mode)
    except Exception as error:  # whatever W&B meets, it must not cost the fit
        where = "online" if mode == "online" else "here"
        say(f"Weights & Biases does not work {where}: {_first_line(error)}")
        if mode != "online":
            return None
        import wandb

        wandb.teardown()  # else the name of the run stays taken
        return start_wandb(replace(settings, mode="offline"), folder, name, config)
    if mode == "offline":
        for row in read_metrics(folder / "metrics.csv"):
            run.log({"trainer/global_step": row.pop("step"), **row})
        say(
            f"Weights & Biases logs offline: look with `wandb leet {folder / 'wandb'}`, "
            f"upload with `wandb sync {Path(run.dir).parent}`"
        )
    else:
        say(f"Weights & Biases: {run.url}")

    return _Harmless(experiment=run)


class _Harmless(WandbLogger):
    """Lightning's, but when W&B breaks in the middle of a fit, the fit goes on without it."""

    broken = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self.broken:
            return
        try:
            super().log_metrics(metrics, step)
        except Exception as error:
            self.broken = True
            say(f"Weights & Biases logs no more ({_first_line(error)}); metrics.csv has it all")


def _start(
    settings: WandbSettings,
    folder: Path,
    name: str,
    config: dict[str, Any],
    mode: Literal["online", "offline"],
) -> "wandb.Run":
    import wandb

    # Said to `init` alone, an offline run's telemetry still tries to reach the server.
    wandb.setup(wandb.Settings(mode=mode))
    run = wandb.init(
        project=settings.project,
        name=name,
        id=settings.id or folder.resolve().name,
        dir=folder,
        mode=mode,
        resume="allow" if mode == "online" else None,
        group=settings.group,
        job_type=settings.job_type,
        tags=settings.tags,
        config={**config, **settings.config},
        settings=wandb.Settings(
            silent=True,
            init_timeout=START_TIMEOUT_SECONDS,
            finish_timeout=FINISH_TIMEOUT_SECONDS,
        ),
    )
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    for metric, which in settings.summary.items():
        run.define_metric(metric, step_metric="trainer/global_step", summary=which)
    return run


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def finish_wandb(logger: WandbLogger | None, pictures: dict[str, Path], exit_code: int = 0) -> None:
    """Log a run's pictures and close it.

    Args:
        logger: as `start_wandb` gave it.
        pictures: name -> PNG file.
        exit_code: 0 where the fit came to its end; else W&B shows the run as failed.
    """
    if logger is None:
        return
    import wandb

    try:
        run = logger.experiment
        if pictures:
            run.log({name: wandb.Image(str(path)) for name, path in pictures.items()})
        run.finish(exit_code)
    except Exception as error:
        say(f"Weights & Biases missed the end of the run ({_first_line(error)}); its folder has it")
