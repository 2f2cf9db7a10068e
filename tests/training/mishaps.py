"""Callbacks by which a fit comes to grief, or waits for what a test does to it."""

import errno
import os
import signal
import time
from pathlib import Path

from lightning.pytorch import Callback


class Crash(Callback):
    """Runs into a bug after three steps.

    Args:
        rank: the only one to do so.
    """

    def __init__(self, rank: int = 0) -> None:
        self.rank = rank

    def on_train_batch_end(self, trainer, *args, **kwargs) -> None:
        _ = 1 / (3 - trainer.global_step if trainer.global_rank == self.rank else 1)


class FullDisk(Callback):
    """Finds the disk full after the first validation."""

    def on_validation_end(self, trainer, pl_module) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class Wait(Callback):
    """Says that the moment has come, and is slow from then on.

    Args:
        moment: training, or validation.
        reached: the file that says so.
    """

    def __init__(self, moment: str, reached: str) -> None:
        self.moment, self.reached = moment, Path(reached)

    def _wait(self, moment: str) -> None:
        if moment == self.moment:
            self.reached.touch()
            time.sleep(0.05)

    def on_train_batch_end(self, *args, **kwargs) -> None:
        self._wait("training")

    def on_validation_batch_start(self, *args, **kwargs) -> None:
        self._wait("validation")


class Kill(Callback):
    """Kills its own process, as a machine would.

    Args:
        step: optimizer steps made by then.
        moment: after a training step, inside the validation after it, or after the last one.
        rank: the only one that dies.
    """

    def __init__(self, step: int, moment: str = "training", rank: int = 0) -> None:
        self.step, self.moment, self.rank = step, moment, rank

    def _kill(self, trainer, moment: str) -> None:
        it = trainer.global_step == self.step and trainer.global_rank == self.rank
        if it and moment == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, trainer, *args, **kwargs) -> None:
        self._kill(trainer, "training")

    def on_validation_batch_end(self, trainer, *args, **kwargs) -> None:
        self._kill(trainer, "validation")

    def on_train_end(self, trainer, pl_module) -> None:
        self._kill(trainer, "end")


class KillWandb(Callback):
    """Kills W&B's own process after two steps, and waits until that is so."""

    def on_train_batch_end(self, trainer, *args, **kwargs) -> None:
        if trainer.global_step == 2:
            mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            [core] = [
                pid for pid in mine if "wandb-core" in Path(f"/proc/{pid}/cmdline").read_text()
            ]
            os.kill(int(core), signal.SIGKILL)
            while (
                Path(f"/proc/{core}/cmdline").exists() and Path(f"/proc/{core}/cmdline").read_text()
            ):
                time.sleep(0.01)
