"""Throughput on a clock that stands still unless it is told to move on."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.optim import SGD
from torch.utils.data import DataLoader, Dataset

from phoneme_lightning.batch import Batch
from phoneme_lightning.training import callbacks
from phoneme_lightning.training.callbacks import Throughput
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.metrics_csv import MetricsCsv
from phoneme_lightning.training.trainer import PhonemeTrainer

BUSY_SECONDS, WAIT_SECONDS, VALIDATION_SECONDS = 3.0, 1.0, 100.0


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


class Slow(Dataset):
    """Batches of one utterance each, for each of which the clock moves on."""

    def __init__(self, clock, lengths):
        self.clock, self.lengths = clock, lengths

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, index):
        self.clock.now += WAIT_SECONDS
        return Batch.collate([torch.ones(self.lengths[index], 1)], [None], [index])


class Busy(LightningModule):
    """Trains one number, taking its time."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.weight = clock, torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch, batch_idx):
        self.clock.now += BUSY_SECONDS
        return (self.weight * batch.features).sum()

    def validation_step(self, batch, batch_idx):
        self.clock.now += VALIDATION_SECONDS

    def configure_optimizers(self):
        return SGD(self.parameters(), lr=0.25)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_throughput_counts_real_frames_and_the_seconds_of_training(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    lengths = [5, 7, 30, 10, 4, 4]
    trainer = PhonemeTrainer(
        accelerator="cpu",
        precision="32-true",
        max_epochs=1,
        val_check_interval=3,
        num_sanity_val_steps=0,
        log_every_n_steps=2,
        logger=MetricsCsv(tmp_path / "metrics.csv"),
        callbacks=[Throughput()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loaders = [DataLoader(Slow(clock, frames), batch_size=None) for frames in (lengths, [1])]
    trainer.fit(Busy(clock), *loaders)
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if len(row) > 1]
    seconds = 2 * (BUSY_SECONDS + WAIT_SECONDS)
    expected = {
        "train/frames_per_second": [12 / seconds, 40 / seconds, 8 / seconds],
        "train/wait_share": 3 * [WAIT_SECONDS / (BUSY_SECONDS + WAIT_SECONDS)],
        "train/frames_seen": [12, 52, 60],
        "train/learning_rate": 3 * [0.25],
    }
    for name, values in expected.items():
        assert [row[name] for row in rows] == pytest.approx(values), name


def test_frames_seen_go_on_after_a_resume():
    before, after = Throughput(), Throughput()
    before.frames_seen = 52
    after.load_state_dict(before.state_dict())
    assert after.frames_seen == 52
