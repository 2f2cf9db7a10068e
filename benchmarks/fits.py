"""Random batches, and short fits and forward passes over them whose time is taken."""

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule
from nets import PlainClassifier, plain_net
from torch.utils.data import DataLoader

import phoneme_lightning.models
from phoneme_lightning.batch import Batch
from phoneme_lightning.data.sampler import BucketSampler
from phoneme_lightning.phones import IGNORE_LABEL, NUM_PHONES
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
    "draw_lengths",
    "fit",
    "inference_rate",
    "machine",
    "make_batch",
    "make_classifier",
    "set_up",
    "training_rate",
]

MEAN_FRAMES, SPREAD_FRAMES, LEAST_FRAMES, MOST_FRAMES = 617, 234, 139, 998  # libriphone's

Lengths = Sequence[Sequence[int]]


def set_up(threads: int, *, ours: bool) -> None:
    """Set this process up.

    Args:
        threads: of the CPU.
        ours: as phoneme-cli does.
    """
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


def draw_lengths(order: str, frames_per_batch: int, batches: int) -> list[list[int]]:
    """Draw the lengths of utterances, batch by batch.

    Args:
        order: "bucketed", as our sampler does, of a corpus of 3,000 utterances; "shuffled", as
            many utterances a batch as hold that many frames on average; "equal", all of 600
            frames, so that there is no padding; "whole", one utterance of the mean length.
        frames_per_batch: real frames a batch, about; no utterance is longer.
        batches: how many.

    Returns:
        Frames of each utterance of each batch.
    """
    if order == "whole":
        return [[min(MEAN_FRAMES, frames_per_batch)]] * batches
    if order == "equal":
        frames = min(600, frames_per_batch)
        return [[frames] * round(frames_per_batch / frames)] * batches
    draw = np.random.default_rng(0)
    corpus = draw.normal(MEAN_FRAMES, SPREAD_FRAMES, 3_000).clip(
        LEAST_FRAMES, min(MOST_FRAMES, frames_per_batch)
    )
    corpus = corpus.astype(np.int64)
    if order == "shuffled":
        size = max(1, round(frames_per_batch / MEAN_FRAMES))
        return draw.choice(corpus, (batches, size)).tolist()
    sampler = BucketSampler(corpus, frames_per_batch, shuffle=True)
    # Evenly from the shortest to the longest, or else luck would decide what they cost.
    pieces = sorted(sampler, key=lambda rows: corpus[rows].mean())
    places = (np.arange(batches) + 0.5) * len(pieces) / batches
    return [corpus[pieces[int(place)]].tolist() for place in places]


def make_batch(lengths: Sequence[int], device: str, seed: int = 0) -> Batch:
    """Make a batch of random features and labels, (batch, frames, 39) and (batch, frames)."""
    draw = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    batch = Batch(
        features=torch.randn(*shape, 39, generator=draw),
        labels=torch.randint(NUM_PHONES, shape, generator=draw),
        lengths=torch.tensor(lengths),
        utterances=torch.arange(len(lengths)),
        num_frames=sum(lengths),
    )
    batch.features[~batch.mask] = 0.0
    batch.labels[~batch.mask] = IGNORE_LABEL
    return batch.to(device)


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
