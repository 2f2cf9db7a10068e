"""Which weights a fit keeps: the best, some next to them, and the latest to go on from."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from phoneme_lightning.training.utterance_file import write_utterances

__all__ = ["checkpoints"]


class MovableCheckpoint(ModelCheckpoint):
    """Lightning's, but it knows its best score again after the run's folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the paths of the old folder for those of the new one, where the files are there."""
        old, new = state_dict.get("dirpath"), str(self.dirpath)
        if old and old != new and (Path(new) / "best.ckpt").is_file():
            state_dict = _rename(state_dict, old, new)
        super().load_state_dict(state_dict)


class NextBest(MovableCheckpoint):
    """Keeps the weights that validated best, but for the very best, which best.ckpt holds.

    While the fit goes on they are all there, since a better one may come.
    """

    def _twice(self) -> Path | None:
        path = Path(self.best_model_path)
        return path if path.parent == Path(str(self.dirpath)) else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have the very best again, where a fit that was over goes on."""
        super().on_train_start(trainer, pl_module)
        path = self._twice()
        if trainer.is_global_zero and path and not path.exists():
            shutil.copy(path.with_name("best.ckpt"), path)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave out what is there twice."""
        super().on_train_end(trainer, pl_module)
        path = self._twice()
        if trainer.is_global_zero and path:
            path.unlink(missing_ok=True)


class BestUtterances(Callback):
    """Write how the best weights do on each utterance, whenever there are better ones.

    Lightning asks checkpoints last, so `best` still has the score to beat. A fit that is killed
    between the two goes on from before this validation, and comes to both again.

    Args:
        folder: the run's.
        ids: the name of each utterance of the frame store.
        best: what keeps the best weights.
    """

    def __init__(self, folder: Path, ids: Sequence[str], best: ModelCheckpoint) -> None:
        self.folder, self.ids, self.best = folder, ids, best

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the counts of this validation, if it is the best so far."""
        if trainer.sanity_checking:
            return
        score, beaten = trainer.callback_metrics["val/frame_accuracy"], self.best.best_model_score
        if trainer.is_global_zero and (beaten is None or score > beaten.to(score)):
            rows = pl_module.val_metrics.utterances.tolist()  # type: ignore[operator,union-attr]
            write_utterances(self.folder, ((self.ids[row], n, right) for row, n, right in rows))


def _rename(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {_rename(key, old, new): _rename(item, old, new) for key, item in value.items()}
    return value.replace(old, new) if isinstance(value, str) else value


def checkpoints(folder: Path, ids: Sequence[str], keep_best: int = 1) -> list[Callback]:
    """Keep the weights that validated best as best.ckpt, and the latest as last.ckpt.

    Beside them stands how the best did on each utterance, in utterances-validation.csv. All are
    written at the end of a validation, so that a resumed fit neither repeats nor skips one. One
    callback cannot keep both weights: its last.ckpt follows the best.

    Args:
        folder: the run's; the weights go to its folder `checkpoints`.
        ids: the name of each utterance of the frame store.
        keep_best: how many of the best to keep; those after the first as step=<step>.ckpt.
    """
    settings: dict[str, Any] = {
        "dirpath": str(folder / "checkpoints"),
        "mode": "max",
        "every_n_epochs": 1,
        "save_on_train_epoch_end": False,
        "enable_version_counter": False,
    }
    best = {**settings, "monitor": "val/frame_accuracy"}
    kept: list[ModelCheckpoint] = [MovableCheckpoint(filename="best", **best)]
    if keep_best > 1:
        kept.append(NextBest(filename="{step}", save_top_k=keep_best, **best))
    # The latest comes last: it holds what the others know.
    return [
        BestUtterances(folder, ids, kept[0]),
        *kept,
        MovableCheckpoint(filename="last", **settings),
    ]
