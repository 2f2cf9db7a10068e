"""A callback of phoneme-cli that ends a fit at a perfect fit, for `phoneme-sweep probe steps`."""

from collections import deque
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

__all__ = ["StopAtPerfectFit"]


class StopAtPerfectFit(Callback):
    """End a fit when its training accuracy over an epoch is high enough.

    Args:
        window: batches of an epoch.
        perfect: accuracy.
    """

    def __init__(self, window: int, perfect: float) -> None:
        self.perfect = perfect
        self.seen: deque[float] = deque(maxlen=window)

    def state_dict(self) -> dict[str, Any]:
        """Give what a resumed fit must go on from."""
        return {"seen": list(self.seen)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.seen.extend(state_dict["seen"])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the accuracy of every step."""
        self.seen.append(float(trainer.callback_metrics["train/frame_accuracy"]))
        full = len(self.seen) == self.seen.maxlen
        if full and sum(self.seen) / len(self.seen) >= self.perfect:
            trainer.should_stop = True  # which validates first
