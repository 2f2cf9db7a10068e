"""The LightningModule: a backbone, a linear layer a frame, the loss, the metrics, the optimizer."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.distributed import all_reduce
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from phoneme_lightning.batch import Batch
from phoneme_lightning.errors import InputError
from phoneme_lightning.models.base import Backbone
from phoneme_lightning.phones import NUM_PHONES
from phoneme_lightning.training.averaging import AverageWeights
from phoneme_lightning.training.compiling import compile_parts
from phoneme_lightning.training.metrics import PhoneMetrics, correct_frames
from phoneme_lightning.training.objectives import (
    ctc_loss,
    draw_share,
    frame_loss,
    labelled_frames,
    mix_utterances,
    neighbour_loss,
    weigh,
)
from phoneme_lightning.training.optimizers import (
    Schedule,
    drop_gradients,
    keep_new_settings,
    parameter_groups,
    schedule_factor,
    use_fused_kernels,
)
from phoneme_lightning.training.run import say

__all__ = ["PhonemeClassifier", "Predictions"]

Predictions = list[tuple[int, np.ndarray]]
"""Position in the frame store, and classes, (frames,), uint8."""


def _cut(classes: Tensor, batch: Batch) -> Predictions:
    """Take predicted classes, (batch, frames), apart, each utterance cut to its length."""
    rows = classes.to(torch.uint8).cpu().numpy()
    utterances = zip(batch.utterances.tolist(), rows, batch.lengths.tolist(), strict=True)
    return [(utterance, row[:length]) for utterance, row, length in utterances]


class PhonemeClassifier(LightningModule):
    """Classify every frame of an utterance.

    Args:
        backbone: the network under the linear layer.
        num_classes: phones to tell apart.
        label_smoothing: share of the target spread over all phones, 0 to 1.
        mixup: a of the Beta(a, a) by which training utterances are mixed in pairs; 0 mixes none.
        neighbour_weight: weight of the loss of predicting the labels of neighbouring frames too.
        neighbour_frames: how many frames before and after those neighbours are.
        ctc_weight: weight of the loss (CTC) of the phones in their order, whatever their timing.
            Only training uses the linear layers of these two losses.
        optimizer: made with the parameters in two groups; norms and biases are not decayed.
        schedule: the learning rate after the warmup: constant, or linear or cosine down to 0.
        warmup_steps: steps in which the learning rate rises in a straight line.
        decay_steps: last steps, in which it falls; null: all after the warmup.
        ema_decay: decay a step of an exponential average of the weights, which is then what is
            validated and saved; 0 keeps none.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        num_classes: int = NUM_PHONES,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        neighbour_weight: float = 0.0,
        neighbour_frames: int = 5,
        ctc_weight: float = 0.0,
        optimizer: OptimizerCallable = lambda parameters: AdamW(parameters, lr=2e-3),
        schedule: Schedule = "cosine",
        warmup_steps: int = 200,
        decay_steps: int | None = None,
        ema_decay: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0.0 <= label_smoothing < 1.0:
            raise InputError(f"model.label_smoothing is {label_smoothing}: give 0 up to below 1")
        if not 0.0 <= ema_decay < 1.0:
            raise InputError(f"model.ema_decay is {ema_decay}: give 0 (off) or, say, 0.999")
        weights = {"neighbour_weight": neighbour_weight, "ctc_weight": ctc_weight}
        for key, value in {"mixup": mixup, **weights}.items():
            if not 0.0 <= value < math.inf:
                raise InputError(f"model.{key} is {value}: give 0 (off) or, say, 0.2")
        if neighbour_frames < 1:
            raise InputError(f"model.neighbour_frames is {neighbour_frames}: give at least 1")
        self.backbone = backbone
        self.head = nn.Linear(backbone.output_dim, num_classes)
        self.num_classes, self.label_smoothing, self.mixup = num_classes, label_smoothing, mixup
        self.further: dict[str, tuple[float, Callable[[Tensor, Tensor], Tensor]]] = {}
        self.further_heads = nn.ModuleDict()
        if neighbour_weight:
            objective = partial(neighbour_loss, distance=neighbour_frames)
            self.further["neighbour"] = neighbour_weight, objective
            self.further_heads["neighbour"] = nn.Linear(backbone.output_dim, 2 * num_classes)
        if ctc_weight:
            self.further["ctc"] = ctc_weight, ctc_loss
            self.further_heads["ctc"] = nn.Linear(backbone.output_dim, num_classes + 1)
        if decay_steps is not None and decay_steps < 1:
            raise InputError(f"model.decay_steps is {decay_steps}: give at least 1, or null")
        self.optimizer, self.schedule, self.warmup_steps = optimizer, schedule, warmup_steps
        self.decay_steps = decay_steps
        self.ema_decay = ema_decay
        self.lost_gradients = self.lost_in_a_row = torch.tensor(0)
        self.val_metrics, self.test_metrics = PhoneMetrics(num_classes), PhoneMetrics(num_classes)

    def score_as(self, fold: Tensor) -> None:
        """Score in fewer classes than are trained, as TIMIT's custom is.

        Args:
            fold: class -> the class as which it is scored, (classes,), int64.
        """
        classes = self.num_classes
        self.val_metrics, self.test_metrics = (PhoneMetrics(classes, fold) for _ in range(2))

    def forward(self, batch: Batch) -> Tensor:
        """Give the logits of each frame, (batch, frames, classes)."""
        logits: Tensor = self.head(self.backbone(batch.features, batch.lengths))
        return logits

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Give the cross-entropy a labelled frame, as validation and test score it.

        Args:
            logits: (batch, frames, classes).
            batch: where labels are IGNORE_LABEL, a frame counts for nothing.
        """
        total = frame_loss(logits, batch.labels, self.label_smoothing)
        return total / labelled_frames(batch.labels).clamp(min=1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Give the loss of a step, all its parts a labelled frame; log it with the accuracy.

        Ranks hold different numbers of frames and their gradients are averaged, so each rank's
        sums are divided by the mean number of frames a rank.
        """
        labellings = [(1.0, batch.labels)]
        if self.mixup:
            share = draw_share(self.mixup)
            batch, others = mix_utterances(batch, share)
            labellings = [(share, batch.labels), (1.0 - share, others)]
        frames = weigh(labelled_frames, labellings)
        [frames] = self._over_ranks(frames)
        frames = frames.clamp(min=1.0)

        encoded = self.backbone(batch.features, batch.lengths)
        logits: Tensor = self.head(encoded)
        own = partial(frame_loss, logits, label_smoothing=self.label_smoothing)
        loss = weigh(own, labellings) / frames
        shown = {}
        for name, (weight, objective) in self.further.items():
            outputs = self.further_heads[name](encoded)
            part = weigh(partial(objective, outputs), labellings) / frames
            shown[f"{name}_loss"] = part.detach()
            loss = loss + weight * part
        shown["loss"] = loss.detach()
        counts = correct_frames(logits.detach(), batch, self.val_metrics.fold)
        *means, correct, counted = self._over_ranks(*shown.values(), *counts)
        for name, value in zip(shown, means, strict=True):
            self.log(f"train/{name}", value)
        self.log("train/frame_accuracy", correct / counted)
        return loss

    def _over_ranks(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Give the mean of each number, (), over all ranks, by one message."""
        if self.trainer.world_size == 1:
            return values
        message = torch.stack([value.float() for value in values])
        all_reduce(message)
        return (message / self.trainer.world_size).unbind()

    def _evaluate(self, stage: str, metrics: PhoneMetrics, batch: Batch) -> Tensor:
        logits = self(batch)
        loss = self.loss(logits, batch)
        # Lightning multiplies by the size and sums it, which a tensor does without waiting.
        frames = labelled_frames(batch.labels)
        if self.trainer.world_size > 1:
            frames = frames.double()  # the mean over ranks of a whole number is cut to one
        self.log(f"{stage}/loss", loss, batch_size=cast(int, frames), sync_dist=True)
        classes: Tensor = logits.argmax(-1)
        metrics.update(classes, batch)
        return classes

    def _log_scores(self, stage: str, metrics: PhoneMetrics) -> None:
        self.log_dict({f"{stage}/{name}": value for name, value in metrics.compute().items()})
        # Lightning logs under a metric of this name, where there is one, and else counts batches.
        self.log("step", float(self.trainer.global_step))

    def on_fit_start(self) -> None:
        """Count lost gradients on the device; compile where that was asked for and works."""
        self.lost_gradients = self.lost_in_a_row = torch.tensor(0, device=self.device)
        if getattr(self.trainer, "compile", False):
            parts = compile_parts(self.backbone, self.device)
            say(f"torch.compile makes code for {parts} parts of the backbone")

    def on_validation_epoch_start(self) -> None:
        """Begin to count anew: a validation that was cut off must not be counted twice."""
        self.val_metrics.reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score a validation batch."""
        self._evaluate("val", self.val_metrics, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation split."""
        self._log_scores("val", self.val_metrics)

    def on_test_epoch_start(self) -> None:
        """Begin to count anew."""
        self.test_metrics.reset()

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Predictions]:
        """Score a test batch; give its predictions as `predict_step` does."""
        classes = self._evaluate("test", self.test_metrics, batch)
        return {"predictions": _cut(classes, batch)}

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test split."""
        self._log_scores("test", self.test_metrics)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Predictions]:
        """Give under "predictions" each utterance's position in the store and its classes."""
        return {"predictions": _cut(self(batch).argmax(-1), batch)}

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Give the optimizer and its schedule, which is advanced every step."""
        try:
            optimizer = self.optimizer(parameter_groups(self))
        except ValueError as error:
            raise InputError(f"model.optimizer cannot be made: {error}") from error
        # With 16-mixed a fused step would unscale the gradients by itself, after the clipping.
        if self.trainer.precision != "16-mixed":
            use_fused_kernels(optimizer)
        total_steps = self.trainer.estimated_stepping_batches
        if total_steps == float("inf") and self.schedule != "constant":
            raise InputError(
                f"model.schedule is {self.schedule!r}, which needs an end: give trainer.max_steps"
            )
        scheduler = LambdaLR(
            optimizer,
            schedule_factor(self.schedule, self.warmup_steps, total_steps, self.decay_steps),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def configure_callbacks(self) -> Sequence[Callback] | Callback:
        """Average the weights where `ema_decay` asks for it."""
        fitting = self.trainer.state.fn == "fit"
        return [AverageWeights(self.ema_decay)] if self.ema_decay and fitting else []

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Log the global gradient norm as it was before clipping, and clip.

        A gradient that is not finite is dropped whole, since clipping would spread it over all
        weights; it is counted without waiting for the device.
        """
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        self.log("train/grad_norm", norm)
        lost = ~norm.isfinite()
        drop_gradients(gradients, lost)
        norm = norm.masked_fill(lost, 0.0)
        self.lost_gradients = self.lost_gradients + lost
        self.lost_in_a_row = (self.lost_in_a_row + 1).where(lost, 0)
        if gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            nn.utils.clip_grads_with_norm_(self.parameters(), gradient_clip_val, norm)
        elif gradient_clip_val:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another model; let this fit's own settings stand.

        Raises:
            InputError: the checkpoint's weights do not fit.
        """
        mine, theirs = self.state_dict(), checkpoint["state_dict"]
        for name in mine.keys() | theirs.keys():
            here, there = (tuple(x[name].shape) if name in x else "absent" for x in (mine, theirs))
            if here != there:
                raise InputError(
                    f"ckpt_path holds another model: {name} is {there} there and {here} here: "
                    "leave model.backbone and model.num_classes out, it brings its own"
                )
        if self.trainer.state.fn == "fit":
            keep_new_settings(checkpoint, self.optimizer(parameter_groups(self)))
