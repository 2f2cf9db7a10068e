"""What a checkpoint says of itself: the whole config, and what `auto` became."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from phoneme_lightning import __version__
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.errors import InputError

__all__ = ["WriteRecord", "config_of", "read_record"]

KEY = "phoneme_lightning"


class WriteRecord(Callback):
    """Put the whole config into every checkpoint, so that a checkpoint alone can be tested.

    Args:
        config: the whole config of the fit.
        resolved: what `auto` and the like became: corpus, precision.
        store: the corpus, on this machine.
    """

    def __init__(self, config: dict[str, Any], resolved: dict[str, Any], store: FrameStore) -> None:
        self.record = {
            "version": __version__,
            "phones": list(store.phones),
            "scored_as": store.scored_as,
            "config": config,
            "resolved": resolved,
            "store": str(store.path.resolve()),
        }

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the record."""
        checkpoint[KEY] = self.record


def read_record(path: str | Path) -> dict[str, Any]:
    """Read what a checkpoint says of itself: version, phones, config, store, step and so on.

    Raises:
        InputError: the file is missing, is no checkpoint, or is not one of ours.
    """
    if not Path(path).is_file():
        raise InputError(
            f"ckpt_path is {str(path)!r}, where there is no file: give a .ckpt file of a run"
        )
    try:
        checkpoint = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except Exception as error:
        raise InputError(
            f"ckpt_path {path} is no readable checkpoint ({type(error).__name__}): give another"
        ) from error
    if not isinstance(checkpoint, dict) or KEY not in checkpoint:
        raise InputError(
            f"ckpt_path {path} was not written by a fit of phoneme-cli, so its model is unknown"
        )
    return {**checkpoint[KEY], "step": checkpoint["global_step"]}


def config_of(record: dict[str, Any], subcommand: str, root: str | Path) -> dict[str, Any]:
    """Give what a checkpoint sets for a subcommand, which gives way to what a person wrote.

    Args:
        record: as `read_record` gives it.
        subcommand: of phoneme-cli; all but fit take the model and the data alone.
        root: folder of the frame stores on this machine.
    """
    stored: dict[str, Any] = record["config"]
    stored["run"].pop("folder")
    corpus = record["resolved"]["corpus"]
    roots = (stored["data"]["root"], root, ".")
    here = any((Path(root) / corpus).is_dir() for root in roots)
    stored["data"]["corpus"] = corpus if here else record.get("store", corpus)
    if subcommand != "fit":
        stored = {key: stored[key] for key in ("seed_everything", "model", "data", "trainer")}
        stored["trainer"] = {"precision": stored["trainer"]["precision"]}
    return stored
