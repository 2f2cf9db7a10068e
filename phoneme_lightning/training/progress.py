"""What a person sees of a fit: what will be trained, how it goes, and how far it has come."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from phoneme_lightning.models.base import Backbone
from phoneme_lightning.models.cost import count_parameters, mflops_per_frame
from phoneme_lightning.models.recurrent import BidirectionalRNN
from phoneme_lightning.models.recurrent_precision import recurrent_dtype
from phoneme_lightning.training.run import say

__all__ = ["Announce", "FitProgress"]

REFRESH_EVERY_STEPS = 10
FIRST_WORD_AFTER_STEPS = 10


def _clock(seconds: float) -> str:
    if seconds == float("inf"):
        return "no end"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _recurrent_layers(trainer: Trainer) -> str:
    """Say what recurrent layers calculate in, which autocast decides by itself."""
    model, kind = trainer.lightning_module, trainer.lightning_module.device.type
    if not any(isinstance(module, BidirectionalRNN) for module in model.modules()):
        return ""
    with trainer.precision_plugin.forward_context():
        autocast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        default = torch.get_default_dtype()
    dtype = recurrent_dtype(kind, autocast) if autocast else default
    return f"; recurrent layers in {str(dtype).removeprefix('torch.')}"


class Announce(Callback):
    """Say what is trained on what, and give one line a validation.

    Args:
        corpus: a line about the corpus.
        precision: what is calculated in, "bf16-mixed (auto)" say.
    """

    def __init__(self, corpus: str, precision: str) -> None:
        self.corpus, self.precision = corpus, precision

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what is about to be trained."""
        backbone = pl_module.backbone
        assert isinstance(backbone, Backbone)
        say(f"corpus: {self.corpus}")
        say(
            f"model: {type(backbone).__name__}, "
            f"{count_parameters(pl_module) / 1e6:.2f} M parameters, "
            f"{mflops_per_frame(backbone):.1f} MFLOP a frame"
        )
        where = f"{trainer.world_size} ranks, " if trainer.world_size > 1 else ""
        say(
            f"precision: {self.precision}, on {where}{pl_module.device}{_recurrent_layers(trainer)}"
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.start, self.first_step = time.perf_counter(), trainer.global_step
        if self.first_step:
            say(f"resumed after step {self.first_step}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say early how long it will take."""
        if trainer.global_step == self.first_step + FIRST_WORD_AFTER_STEPS:
            say(f"step {trainer.global_step}: about {_clock(self._seconds_left(trainer))} to go")

    def _seconds_left(self, trainer: Trainer) -> float:
        done = trainer.global_step
        spent = time.perf_counter() - self.start
        left = trainer.estimated_stepping_batches - done
        return spent / max(1, done - self.first_step) * left

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say how it stands."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        seen = {name: float(value) for name, value in trainer.callback_metrics.items()}
        done, total = trainer.global_step, trainer.estimated_stepping_batches
        speed, left = seen.get("train/frames_per_second"), _clock(self._seconds_left(trainer))
        say(
            f"step {done}/{total}  train loss {seen.get('train/loss', float('nan')):.3f}  "
            f"val loss {seen['val/loss']:.3f}  frame accuracy {seen['val/frame_accuracy']:.4f}  "
            f"phone error rate {seen['val/phone_error_rate']:.3f}  "
            f"{f'{speed:,.0f} frames/s  ' if speed else ''}{left} left"
        )


class FitProgress(ProgressBar):
    """One bar over all steps of a fit, whatever the epochs."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progress | None = None
        self._enabled = True

    def enable(self) -> None:
        """Show the bar; Lightning asks for it on rank 0."""
        self._enabled = True

    def disable(self) -> None:
        """Show no bar; Lightning asks for it on the other ranks."""
        self._enabled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar, where there is somebody to see it."""
        console = Console()
        if not (self._enabled and console.is_terminal):
            return
        self._bar = Progress(
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[seen]}"),
            console=console,
        )
        total = trainer.estimated_stepping_batches
        self._task = self._bar.add_task("fit", total=total, completed=trainer.global_step, seen="")
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar on; reading the metrics waits for the device, so do it now and then."""
        if self._bar is None or trainer.global_step % REFRESH_EVERY_STEPS:
            return
        seen = {name: float(value) for name, value in trainer.callback_metrics.items()}
        shown = (
            ("loss", "train/loss", ".3f"),
            ("accuracy", "train/frame_accuracy", ".3f"),
            ("frames/s", "train/frames_per_second", ",.0f"),
            ("val", "val/frame_accuracy", ".4f"),
        )
        text = "  ".join(
            f"{label} {seen[name]:{form}}" for label, name, form in shown if name in seen
        )
        self._bar.update(self._task, completed=trainer.global_step, seen=text)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the bar."""
        self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the terminal as it was."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
