"""When a fit is given up: gradients that are not finite, a loss too high, no better than chance."""

import math
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from phoneme_lightning.errors import InputError
from phoneme_lightning.training.callbacks import log_every
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.outcome import Infeasible
from phoneme_lightning.training.run import say

__all__ = ["DivergenceSettings", "StopWhenDiverged"]


@dataclass
class DivergenceSettings:
    """When a fit is given up as one whose setting does not work."""

    lost_gradients: int = 20
    """Gradients in a row that are not finite."""

    loss_above: float | None = None
    """Validation loss, in nats, above which there is no going on; one not finite is above it."""

    chance_after: int | None = None
    """Steps after which a validation must beat saying the most frequent phone everywhere."""

    def __post_init__(self) -> None:
        if self.lost_gradients < 1:
            raise InputError(
                f"divergence.lost_gradients is {self.lost_gradients}: give at least 1, or leave it"
            )


class StopWhenDiverged(Callback):
    """Say when gradients were not finite and were dropped; give the fit up by its settings.

    A few gradients may be lost to overflow, or to a fault of a low-precision kernel, without harm.

    Args:
        settings: the `divergence` section of the config.
    """

    def __init__(self, settings: DivergenceSettings) -> None:
        self.settings = settings
        self.said = 0
        self._before = {"lost": 0, "in_a_row": 0}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Know whose counts to save."""
        assert isinstance(pl_module, PhonemeClassifier)
        self._classifier = pl_module

    def state_dict(self) -> dict[str, int]:
        """Give what a resumed fit must go on from."""
        counts = self._classifier.lost_gradients, self._classifier.lost_in_a_row
        return dict(zip(self._before, map(int, counts), strict=True))

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on from there."""
        self._before = state_dict
        self.said = state_dict["lost"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count on."""
        counts = self._classifier
        counts.lost_gradients = counts.lost_gradients + self._before["lost"]
        counts.lost_in_a_row = counts.lost_in_a_row + self._before["in_a_row"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the counts, when metrics are logged anyway.

        Raises:
            Infeasible: too many gradients in a row were lost.
        """
        if trainer.global_step % log_every(trainer):
            return
        if int(self._classifier.lost_in_a_row) >= self.settings.lost_gradients:
            raise Infeasible(
                "nan",
                f"the fit has diverged: no gradient is finite since step "
                f"{trainer.global_step - int(self._classifier.lost_in_a_row) + 1}; lower "
                "model.optimizer.init_args.lr, raise model.warmup_steps, "
                "or try trainer.precision 32-true",
            )
        lost = int(self._classifier.lost_gradients)
        if lost > self.said:
            say(f"step {trainer.global_step}: {lost} gradients so far were not finite and dropped")
            self.said = lost

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge a validation, once its metrics are logged and before its weights are saved.

        Raises:
            Infeasible: the loss is above `loss_above`, or the accuracy no better than chance.
        """
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        step, settings = trainer.global_step, self.settings
        loss = float(trainer.callback_metrics["val/loss"])
        if settings.loss_above is not None and not loss <= settings.loss_above:
            raise Infeasible(
                "diverged" if math.isfinite(loss) else "nan",
                f"the fit has diverged: its validation loss at step {step} is {loss:.4g}, "
                f"above divergence.loss_above {settings.loss_above:g}; lower "
                "model.optimizer.init_args.lr or raise model.warmup_steps",
            )
        if settings.chance_after is not None and step >= settings.chance_after:
            confusion = self._classifier.val_metrics.confusion
            right, most = int(confusion.trace()), int(confusion.sum(dim=1).max())
            if right <= most:
                frames = int(confusion.sum())
                raise Infeasible(
                    "chance",
                    f"the fit has learnt nothing: its validation accuracy at step {step} is "
                    f"{right / frames:.4f}, and the most frequent phone alone would give "
                    f"{most / frames:.4f} (divergence.chance_after is {settings.chance_after}); "
                    "try another model.optimizer.init_args.lr",
                )
