"""What accompanies every fit: it tells, watches, ends and keeps."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from phoneme_lightning.data import PhonemeDataModule
from phoneme_lightning.training.callbacks import (
    EndWithValidation,
    ReseedEachStep,
    StopWhenAsked,
    Throughput,
)
from phoneme_lightning.training.checkpoints import checkpoints
from phoneme_lightning.training.divergence import DivergenceSettings, StopWhenDiverged
from phoneme_lightning.training.progress import Announce, FitProgress
from phoneme_lightning.training.record import WriteRecord

__all__ = ["fit_callbacks"]


def fit_callbacks(
    folder: Path,
    config: dict[str, Any],
    data: PhonemeDataModule,
    *,
    seed: int,
    divergence: DivergenceSettings,
    stop: StopWhenAsked,
    keep_best: int,
    bar: bool,
) -> list[Callback]:
    """Give the callbacks of a fit, in the order in which Lightning shall call them.

    Args:
        folder: of the run.
        config: the whole config; `resolved` says what `auto` became.
        data: of the fit.
        seed: of the fit.
        divergence: when to give up.
        stop: ends the fit when it is asked to.
        keep_best: how many of the weights that validated best to keep.
        bar: show how far the fit is.
    """
    resolved = config["resolved"]
    is_auto = config["trainer"]["precision"] == "auto"
    return [
        Announce(data.description, resolved["precision"] + (" (auto)" if is_auto else "")),
        ReseedEachStep(seed),
        Throughput(),
        StopWhenDiverged(divergence),
        EndWithValidation(),
        stop,
        WriteRecord(config, resolved, data.store),
        *checkpoints(folder, data.store.ids, keep_best),
        *([FitProgress()] if bar else []),
    ]
