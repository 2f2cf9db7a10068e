"""Callbacks that plant a fault in a fit, for trials whose outcome must tell it."""

import os
import signal
import time

import torch
from lightning.pytorch import Callback


class Plant(Callback):
    """Does something after a step of a trial's first attempt; of each, where `always`.

    Args:
        step: optimizer steps made by then.
        always: at every attempt.
    """

    def __init__(self, step: int = 5, always: bool = False) -> None:
        self.step, self.always = step, always

    def strike(self, trainer, module) -> None:
        raise NotImplementedError

    def on_train_batch_end(self, trainer, module, *args, **kwargs) -> None:
        first = trainer.default_root_dir.endswith("attempt-1")
        if trainer.global_step == self.step and (first or self.always):
            self.strike(trainer, module)


class Kill(Plant):
    def strike(self, trainer, module) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Term(Plant):
    def strike(self, trainer, module) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


class Crash(Plant):
    def strike(self, trainer, module) -> None:
        raise RuntimeError("a planted bug")


class Memory(Plant):
    def strike(self, trainer, module) -> None:
        torch.empty(1 << 50)


class Hang(Plant):
    def strike(self, trainer, module) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)


class Nan(Plant):
    def strike(self, trainer, module) -> None:
        with torch.no_grad():
            next(module.parameters()).fill_(float("nan"))


class Slow(Callback):
    """Makes a step take a while, so that something can happen meanwhile.

    Args:
        seconds: of a step.
        later: the same in attempts after the first.
    """

    def __init__(self, seconds: float = 0.05, later: float | None = None) -> None:
        self.seconds, self.later = seconds, seconds if later is None else later

    def on_train_batch_end(self, trainer, module, *args, **kwargs) -> None:
        first = trainer.default_root_dir.endswith("attempt-1")
        time.sleep(self.seconds if first else self.later)


class Hoard(Callback):
    """Asks for memory in proportion to the batch."""

    def __init__(self, bytes_a_frame: int) -> None:
        self.bytes_a_frame = bytes_a_frame

    def on_train_batch_start(self, trainer, module, batch, *args) -> None:
        torch.empty(self.bytes_a_frame * batch.num_frames, dtype=torch.uint8)
