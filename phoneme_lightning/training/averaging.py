"""An exponential average of the weights over the steps of a fit."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging

__all__ = ["AverageWeights"]


class AverageWeights(WeightAveraging):
    """Lightning's average, which is what is validated and saved, without its cost a step.

    Its own EMAWeightAveraging updates one tensor after the other by three kernels each, and asks a
    GPU twice a step how many were averaged. This one updates all at once, and counts on the CPU.
    Running statistics are averaged with the weights.

    Args:
        decay: weight of the old average at each step.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=True)
        self.decay = decay

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the average where a fit begins, on the device that the weights will be moved to."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        """Update the average after a step of the optimizer; the first step's weights begin it."""
        average = self._average_model
        if average is None or trainer.global_step <= self._latest_update_step:
            return
        weight = 1.0 - self.decay if average.n_averaged else 1.0
        for mine, now in zip(_tensors(average.module), _tensors(pl_module), strict=True):
            if mine and mine[0].is_floating_point():
                torch._foreach_lerp_(mine, now, weight)
            elif mine:
                torch._foreach_copy_(mine, now)
        average.n_averaged += 1
        self._latest_update_step = trainer.global_step


def _tensors(module: torch.nn.Module) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Give parameters and running statistics, which are averaged, and what only counts."""
    every = [*module.parameters(), *module.buffers()]
    return [x for x in every if x.is_floating_point()], [
        x for x in every if not x.is_floating_point()
    ]
