"""A callback of phoneme-cli that times steps and validations, for `phoneme-sweep plan`."""

import json
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

__all__ = ["Stopwatch"]


class Stopwatch(Callback):
    """Write a fit's seconds a step and a validation to a JSON file.

    Args:
        file: where to.
        warmup_steps: first steps that do not count.
    """

    def __init__(self, file: str, warmup_steps: int) -> None:
        self.file, self.warmup_steps = Path(file), warmup_steps
        self.validation = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock after the warmup; read it at each later step."""
        if trainer.global_step <= self.warmup_steps:
            self.start = time.perf_counter()
        else:
            steps = trainer.global_step - self.warmup_steps
            self.step = (time.perf_counter() - self.start) / steps

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of a validation."""
        self.validation_start = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it."""
        self.validation = time.perf_counter() - self.validation_start

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write both."""
        if not trainer.is_global_zero:
            return
        times = {"step": self.step, "validation": self.validation}
        self.file.write_text(json.dumps(times), encoding="utf-8")
