"""What goes on around the steps: exact resumption, throughput, a validation at the end."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed import all_reduce

from phoneme_lightning.batch import Batch
from phoneme_lightning.data.sampler import seed_of

__all__ = ["EndWithValidation", "ReseedEachStep", "StopWhenAsked", "Throughput", "log_every"]


def log_every(trainer: Trainer) -> int:
    """Give after how many steps metrics are logged."""
    steps: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return max(1, steps)


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


class StopWhenAsked(Callback):
    """End the fit after a validation, once a file named `stop` is in the run's folder.

    The first rank looks, since all must end at the same step.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "stop"
        self.obeyed = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for the file; a fit that ends here anyway is not stopped early."""
        if trainer.sanity_checking or not trainer.strategy.broadcast(self.file.exists()):
            return
        if trainer.global_step < trainer.estimated_stepping_batches:
            trainer.should_stop = self.obeyed = True


class Throughput(Callback):
    """Log frames seen, frames a second, and the share of the time spent waiting for batches.

    Frames are those of all ranks, and times are the first one's.
    """

    def __init__(self) -> None:
        self.frames_seen, self.frames_here = 0, 0
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
        """Leave validation out of the throughput of training; count before weights are saved."""
        self._count(trainer)
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
        # A mere number would be copied to a GPU, and waited for.
        pl_module.log("step", torch.tensor(float(trainer.global_step)))
        self.frames_here += batch.num_frames
        now = time.perf_counter()
        self.busy_seconds += now - self.mark
        self.mark = now
        if trainer.global_step % log_every(trainer) == 0:
            self._count(trainer)
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

    def _count(self, trainer: Trainer) -> None:
        """Count what all ranks have seen since this was last done."""
        frames = self.frames_here
        if trainer.world_size > 1:
            total = torch.tensor(frames, device=trainer.strategy.root_device)
            all_reduce(total)
            frames = int(total)
        self.frames += frames
        self.frames_seen += frames
        self.frames_here = 0
