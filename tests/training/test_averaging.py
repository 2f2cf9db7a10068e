"""The averaged weights, by hand."""

import torch
from lightning.pytorch import LightningModule
from torch import nn

from phoneme_lightning.training.averaging import AverageWeights
from phoneme_lightning.training.trainer import PhonemeTrainer

DECAY = 0.75


class Walk(LightningModule):
    """Whose weight, running mean and count go up by one a step."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("count", torch.tensor(0))

    def on_train_batch_start(self, batch, batch_idx):
        with torch.no_grad():
            for value in (self.weight, self.mean, self.count):
                value += 1

    def training_step(self, batch, batch_idx):
        return 0.0 * self.weight.sum()

    def train_dataloader(self):
        return [0] * 5

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def test_the_average_is_that_of_the_formula_for_weights_and_statistics():
    walk = Walk()
    trainer = PhonemeTrainer(
        accelerator="cpu",
        precision="32-true",
        max_steps=5,
        callbacks=[AverageWeights(DECAY)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(walk)
    expected = 1.0
    for value in (2.0, 3.0, 4.0, 5.0):
        expected = DECAY * expected + (1 - DECAY) * value
    torch.testing.assert_close(walk.weight.detach(), torch.full((2,), expected))
    torch.testing.assert_close(walk.mean, torch.full((3,), expected))
    assert int(walk.count) == 5
