"""Short fits and forward passes over them whose time is taken."""

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from nets import PlainClassifier, plain_net
from random_batches import draw_lengths, make_batch
from torch.utils.data import DataLoader

import phoneme_lightning.models
from phoneme_lightning.batch import Batch
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.trainer import (
    TRAINER_DEFAULTS,
    PhonemeTrainer,
    Precision,
    resolve_precision,
)

__all__ = [
    "During",
    "choose_device",
    "fit",
    "inference_rate",
    "machine",
    "make_classifier",
    "set_up",
    "training_rate",
]

Lengths = Sequence[Sequence[int]]


def set_up(threads: int, *, flush: bool = False) -> None:
    """Set this process up.

    Args:
        threads: of the CPU.
        flush: take denormal numbers for 0.
    """
    torch.set_flush_denormal(flush)  # before there are threads, which take it over
    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")


def choose_device(device: str) -> str:
    """Resolve "auto": a GPU where there is one."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def machine(device: str) -> dict[str, Any]:
    """Say what runs the contenders: device, CPU threads, and what `auto` precision is there."""
    device = choose_device(device)
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "auto": resolve_precision("auto", device),
    }


def make_classifier(net: str, side: str = "ours", **settings: Any) -> LightningModule:
    """Make a classifier of the default size.

    Args:
        net: RNN, CRNN, CNN or Transformer.
        side: "ours", or the plain net, "padded" or "packed".
        settings: of the backbone.
    """
    torch.manual_seed(0)
    if side == "ours":
        backbone = getattr(phoneme_lightning.models, net)(**settings)
        return PhonemeClassifier(backbone, schedule="constant", warmup_steps=0)
    if side == "packed":
        settings["packed"] = True
    return PlainClassifier(plain_net(net, **settings))


class During(Callback):
    """Enter a context at the start of a step, and leave it at the end of the last one."""

    def __init__(self, context: AbstractContextManager[Any], first_step: int) -> None:
        self.context, self.first_step = context, first_step

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        """Enter."""
        if index == self.first_step:
            self.context.__enter__()

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """Leave."""
        self.context.__exit__(None, None, None)


class Stopwatch(AbstractContextManager["Stopwatch"]):
    """Seconds between entering and leaving, all that the device was told to do included."""

    def __init__(self, device: str) -> None:
        self.wait: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else lambda: None
        self.seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        self.wait()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.wait()
        self.seconds = time.perf_counter() - self.start


def fit(
    classifier: LightningModule,
    batches: Sequence[Batch],
    device: str,
    precision: Precision,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train over these batches once, by Lightning, as phoneme-cli sets it up."""
    trainer = PhonemeTrainer(
        **{**TRAINER_DEFAULTS, "max_steps": len(batches)},
        accelerator="gpu" if device == "cuda" else "cpu",
        precision=precision,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=list(callbacks),
    )
    trainer.fit(classifier, DataLoader(list(batches), batch_size=None))


def training_rate(
    net: str, side: str, order: str, frames_per_batch: int, steps: int, device: str
) -> dict[str, float]:
    """Train a few steps, the first of which does not count.

    Args:
        net: see `make_classifier`.
        side: likewise; ours trains in `auto` precision, the others in fp32.
        order: see `draw_lengths`.
        frames_per_batch: likewise.
        steps: that count.
        device: "auto", "cpu" or "cuda".

    Returns:
        "rate", real frames a second; "padding", the share of frames that are none.
    """
    device = choose_device(device)
    lengths = draw_lengths(order, frames_per_batch, steps)
    batches = [make_batch(one, device, seed) for seed, one in enumerate(lengths)]
    watch = Stopwatch(device)
    precision: Precision = "auto" if side == "ours" else "32-true"
    classifier = make_classifier(net, side)
    # Packed sequences are so slow on a CPU that a short one must do to begin with.
    first = make_batch([50], device) if side == "packed" else batches[0]
    fit(classifier, [first, *batches], device, precision, [During(watch, 1)])
    return _rate(lengths, watch.seconds)


def inference_rate(
    net: str,
    side: str,
    precision: Precision,
    order: str,
    frames_per_batch: int,
    passes: int,
    device: str,
) -> dict[str, float]:
    """Classify a batch, after one that does not count; see `training_rate`."""
    device = choose_device(device)
    lengths = draw_lengths(order, frames_per_batch, 1)
    batch = make_batch(lengths[0], device)
    classifier = make_classifier(net, side).to(device).eval()
    trainer = PhonemeTrainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        precision=precision,
        logger=False,
        enable_checkpointing=False,
    )
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        classifier(batch)
        with Stopwatch(device) as watch:
            for _ in range(passes):
                classifier(batch)
    return _rate(lengths, watch.seconds / passes)


def _rate(lengths: Lengths, seconds: float) -> dict[str, float]:
    frames = sum(map(sum, lengths))
    padded = sum(len(batch) * max(batch) for batch in lengths)
    return {"rate": frames / seconds, "padding": 1 - frames / padded}
