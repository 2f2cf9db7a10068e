"""Train a plain Lightning module on a frame store, as people write it, for speed_run.py.

Utterances in random order, padded nn.LSTM in fp32, AdamW.
Net, input, augmentation, batch size, learning rate, schedule and validation are those of a fit of
phoneme-cli, read from the config.yaml in its folder; metrics go to metrics.csv in another folder.

    python benchmarks/plain_lightning.py CONFIG FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import yaml
from nets import PlainClassifier, plain_net
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

from phoneme_lightning.batch import Batch
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.data.augment import Augmentation
from phoneme_lightning.data.module import prepare
from phoneme_lightning.phones import IGNORE_LABEL
from phoneme_lightning.training.metrics_csv import MetricsCsv
from phoneme_lightning.training.optimizers import schedule_factor

__all__ = ["Classifier", "Utterances", "main"]

SIZES = ("hidden_size", "num_layers", "num_blocks", "dim", "dropout")


class Utterances(Dataset[tuple[Tensor, Tensor, int]]):
    """One item an utterance: features, (frames, 13), labels, (frames,), and its position."""

    def __init__(self, store: FrameStore, positions: np.ndarray) -> None:
        self.store, self.positions = store, positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        position = int(self.positions[index])
        span = slice(*self.store.offsets[position : position + 2])
        labels = self.store.labels[span].astype(np.int64)
        labels[labels < 0] = IGNORE_LABEL
        features = torch.from_numpy(self.store.features[span].copy())
        return features, torch.from_numpy(labels), position

    def loader(self, frames_per_batch: int, *, shuffle: bool) -> DataLoader[Any]:
        """Give batches of as many utterances as hold that many frames on average."""
        mean = self.store.lengths[self.positions].mean()
        size = max(1, round(frames_per_batch / mean))
        return DataLoader(self, size, shuffle=shuffle, collate_fn=pad)


def pad(items: list[tuple[Tensor, Tensor, int]]) -> Batch:
    """Pad utterances into a batch."""
    features, labels, positions = zip(*items, strict=True)
    lengths = torch.tensor([len(x) for x in features])
    return Batch(
        features=pad_sequence(features, batch_first=True),
        labels=pad_sequence(labels, batch_first=True, padding_value=IGNORE_LABEL),
        lengths=lengths,
        utterances=torch.tensor(positions),
        num_frames=int(lengths.sum()),
    )


class Classifier(PlainClassifier):
    """The plain classifier with the input, the schedule and the validation of a fit.

    Args:
        config: of the fit.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        model, backbone = config["model"], config["model"]["backbone"]
        name, settings = backbone["class_path"].rpartition(".")[2], backbone["init_args"]
        if settings.get("width", 64) != 64:
            raise SystemExit("the plain CRNN has a trunk of width 64: leave model.backbone.width")
        net = plain_net(name, **{key: settings[key] for key in SIZES if key in settings})
        optimizer = model["optimizer"]["init_args"]
        super().__init__(net, optimizer["lr"], optimizer["weight_decay"])
        self.config, self.augment = model, Augmentation(**config["data"]["augment"])
        self.deltas = config["data"]["deltas"]
        self.noise = torch.Generator().manual_seed(config["seed_everything"])

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Add deltas, normalise, and augment in training."""
        if not self.trainer.training:
            return prepare(batch, self.deltas)
        if self.noise.device != self.device:
            self.noise = torch.Generator(self.device).manual_seed(self.noise.initial_seed())
        return prepare(batch, self.deltas, self.augment, self.noise)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the share of labelled frames that are right."""
        counted = batch.labels != IGNORE_LABEL
        right = (self(batch).argmax(-1) == batch.labels)[counted].float().mean()
        self.log("val/frame_accuracy", right, batch_size=int(counted.sum()))
        self.log("step", float(self.trainer.global_step))

    def configure_optimizers(self) -> Any:
        """Give AdamW and the fit's schedule."""
        optimizer = super().configure_optimizers()
        shape = (self.config["schedule"], self.config["warmup_steps"])
        factor = schedule_factor(*shape, self.trainer.max_steps, self.config["decay_steps"])
        return [optimizer], [{"scheduler": LambdaLR(optimizer, factor), "interval": "step"}]


def main() -> None:
    """Train."""
    config = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True)
    data, trainer = config["data"], config["trainer"]
    pl.seed_everything(config["seed_everything"])
    store = FrameStore(Path(data["root"]) / data["corpus"])
    train, validation = (
        Utterances(store, store.split(data["split"], name)) for name in ("train", "validation")
    )
    kept = ("accelerator", "max_steps", "val_check_interval", "gradient_clip_val")
    pl.Trainer(
        **{name: trainer[name] for name in kept},
        devices=1,
        precision="32-true",
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        logger=MetricsCsv(folder / "metrics.csv"),
        default_root_dir=folder,
    ).fit(
        Classifier(config),
        train.loader(data["frames_per_batch"], shuffle=True),
        validation.loader(data["frames_per_batch"], shuffle=False),
    )


if __name__ == "__main__":
    main()
