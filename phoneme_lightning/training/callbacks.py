"""What goes on around the steps: exact resumption, throughput, a validation at the end."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from phoneme_lightning.batch import Batch
from phoneme_lightning.data.sampler import seed_of
from phoneme_lightning.errors import InputError
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.run import say

__all__ = ["EndWithValidation", "ReseedEachStep", "StopWhenDiverged", "Throughput", "checkpoints"]


MOST_LOST_IN_A_ROW = 20


def _log_every(trainer: Trainer) -> int:
    steps: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return max(1, steps)


class MovableCheckpoint(ModelCheckpoint):
    """Lightning's, but it knows its best score again after the run's folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the paths of the old folder for those of the new one, where the file is there."""
        old, new = state_dict.get("dirpath"), str(self.dirpath)
        if old and old != new and (Path(new) / f"{self.filename}.ckpt").is_file():
            state_dict = _rename(state_dict, old, new)
        super().load_state_dict(state_dict)


def _rename(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {_rename(key, old, new): _rename(item, old, new) for key, item in value.items()}
    return value.replace(old, new) if isinstance(value, str) else value


def checkpoints(folder: str) -> list[ModelCheckpoint]:
    """Keep the weights that validated best as best.ckpt, and the latest as last.ckpt.

    Both are written at the end of a validation, so that a resumed fit neither repeats nor skips
    one. One callback cannot do both: its last.ckpt follows the best.

    Args:
        folder: where the files go.
    """
    monitors = {"best": "val/frame_accuracy", "last": None}
    return [
        MovableCheckpoint(
            dirpath=folder,
            filename=name,
            monitor=monitor,
            mode="max",
            every_n_epochs=1,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )
        for name, monitor in monitors.items()
    ]


class ReseedEachStep(Callback):
    """Draw the noise of each step (dropout) from (seed, batches so far, rank) and nothing else.

    A checkpoint holds no generator state; with this a resumed fit draws what the quiet one would.

    Args:
        seed: the fit's.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed PyTorch's generators on all devices."""
        torch.manual_seed(seed_of(self.seed, trainer.fit_loop.total_batch_idx, trainer.global_rank))


class EndWithValidation(Callback):
    """Validate after the last step too, wherever it falls, so that no step goes unmeasured."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Let Lightning stop by itself, which validates first; running out of steps does not."""
        if trainer.global_step >= trainer.estimated_stepping_batches:
            trainer.should_stop = True


class StopWhenDiverged(Callback):
    """Say when gradients were not finite and were dropped; stop when they no longer are.

    A few may be lost to overflow, or to a fault of a low-precision kernel, without harm.
    """

    def __init__(self) -> None:
        self.said = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the counts, when metrics are logged anyway.

        Raises:
            InputError: the last MOST_LOST_IN_A_ROW gradients were all lost.
        """
        assert isinstance(pl_module, PhonemeClassifier)
        if trainer.global_step % _log_every(trainer):
            return
        if int(pl_module.lost_in_a_row) >= MOST_LOST_IN_A_ROW:
            raise InputError(
                f"the fit has diverged: no gradient is finite since step "
                f"{trainer.global_step - int(pl_module.lost_in_a_row) + 1}; lower "
                "model.optimizer.init_args.lr, raise model.warmup_steps, "
                "or try trainer.precision 32-true"
            )
        lost = int(pl_module.lost_gradients)
        if lost > self.said:
            say(f"step {trainer.global_step}: {lost} gradients so far were not finite and dropped")
            self.said = lost


class Throughput(Callback):
    """Log frames seen, frames a second, and the share of the time spent waiting for batches."""

    def __init__(self) -> None:
        self.frames_seen = 0
        self._clear()

    def _clear(self) -> None:
        self.frames, self.busy_seconds, self.wait_seconds = 0, 0.0, 0.0
        self.mark = time.perf_counter()

    def state_dict(self) -> dict[str, int]:
        """Give what a resumed fit must go on from."""
        return {"frames_seen": self.frames_seen}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on from there."""
        self.frames_seen = state_dict["frames_seen"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._clear()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave validation out of the throughput of training."""
        self.mark = time.perf_counter()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the time since the last step as waiting."""
        now = time.perf_counter()
        self.wait_seconds += now - self.mark
        self.mark = now

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Count the step; log at the steps at which everything is logged."""
        pl_module.log("step", float(trainer.global_step))
        frames = batch.num_frames * trainer.world_size
        self.frames += frames
        self.frames_seen += frames
        now = time.perf_counter()
        self.busy_seconds += now - self.mark
        self.mark = now
        if trainer.global_step % _log_every(trainer) == 0:
            seconds = self.busy_seconds + self.wait_seconds
            pl_module.log_dict(
                {
                    "train/frames_per_second": self.frames / seconds,
                    "train/wait_share": self.wait_seconds / seconds,
                    "train/frames_seen": float(self.frames_seen),
                    "train/learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                }
            )
            self._clear()
