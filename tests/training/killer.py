"""Callbacks that kill their own process: SIGKILL at a chosen moment, as a machine would."""

import os
import signal

from lightning.pytorch import Callback


class KillAt(Callback):
    """Kill the process after a training step, or inside the validation after it.

    Args:
        step: optimizer steps made by then.
        in_validation: wait for the validation that follows.
    """

    def __init__(self, step: int, in_validation: bool = False) -> None:
        self.step, self.in_validation = step, in_validation

    def _kill(self, trainer, now: bool) -> None:
        if trainer.global_step == self.step and now:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, trainer, *args, **kwargs) -> None:
        self._kill(trainer, not self.in_validation)

    def on_validation_batch_end(self, trainer, *args, **kwargs) -> None:
        self._kill(trainer, self.in_validation)
