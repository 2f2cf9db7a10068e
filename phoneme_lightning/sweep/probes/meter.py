"""A callback of phoneme-cli that measures steps and memory, for `phoneme-sweep probe batch`."""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from phoneme_lightning.batch import Batch

__all__ = ["Meter"]

FEWEST_STEPS = 3
KIB = 1 if sys.platform == "darwin" else 1024
"""What ru_maxrss counts in, in bytes."""


class Meter(Callback):
    """Measure some steps, write what they took to a JSON file, and end the fit.

    Args:
        file: where to.
        warmup_steps: first steps that do not count.
        seconds: after which it ends, with 3 steps at least.
    """

    def __init__(self, file: str, warmup_steps: int, seconds: float) -> None:
        self.file, self.warmup_steps, self.seconds = Path(file), warmup_steps, seconds
        self.steps, self.frames, self.waited = 0, 0, 0.0
        self.start = self.mark = 0.0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the time since the last step as waiting."""
        if trainer.global_step > self.warmup_steps:
            self.waited += time.perf_counter() - self.mark

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Count the step when the device has done it."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        self.mark = time.perf_counter()
        if trainer.global_step <= self.warmup_steps:
            self.start = self.mark
            return
        self.steps += 1
        self.frames += batch.num_frames
        if self.steps >= FEWEST_STEPS and self.mark - self.start >= self.seconds:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it."""
        told = {
            "steps": self.steps,
            "frames": self.frames,
            "seconds": self.mark - self.start,
            "waited": self.waited,
            "peak_bytes": _peak(pl_module.device),
        }
        self.file.write_text(json.dumps(told), encoding="utf-8")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
