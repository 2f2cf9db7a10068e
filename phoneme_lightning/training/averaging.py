"""An exponential average of the weights over the steps of a fit."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["AverageWeights"]


class AverageWeights(WeightAveraging):
    """Lightning's average, which is what is validated and saved, without its cost a step.

    Its own EMAWeightAveraging updates one tensor after the other by three kernels each, and asks a
    GPU twice a step how many were averaged. This one updates all of a kind at once, and counts on
    the CPU. Running statistics are averaged with the weights.

    Args:
        decay: weight of the old average at each step.
    """

    def __init__(self, decay: float) -> None:
        update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        super().__init__(use_buffers=True, multi_avg_fn=update)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the average where a fit begins."""
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()
