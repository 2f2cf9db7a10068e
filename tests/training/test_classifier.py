"""The loss, the gradient, clipping and the learning rate of a step, against hand-made numbers."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule
from torch import nn
from torch.optim import SGD, AdamW
from torch.utils.data import DataLoader

from phoneme_lightning.batch import Batch
from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.load import load_classifier
from phoneme_lightning.models.base import Backbone
from phoneme_lightning.phones import IGNORE_LABEL, NUM_PHONES
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.objectives import (
    ctc_loss,
    draw_share,
    frame_loss,
    mix_utterances,
    neighbour_loss,
)
from phoneme_lightning.training.trainer import PhonemeTrainer

FEATURES = 6
LENGTHS = (9, 2, 4, 1)
FURTHER = {"neighbour_weight": 0.5, "neighbour_frames": 2, "ctc_weight": 0.25}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")


class Plain(Backbone):
    """A linear layer and a norm; a frame knows nothing of the others."""

    def __init__(self):
        super().__init__(FEATURES, output_dim=5)
        self.linear, self.norm = nn.Linear(FEATURES, 5), nn.LayerNorm(5)

    def encode(self, features, lengths, mask):
        return self.norm(self.linear(features))


class Batches(LightningDataModule):
    """Gives each rank its own list of batches."""

    def __init__(self, *of_ranks):
        super().__init__()
        self.of_ranks = of_ranks

    def train_dataloader(self):
        return DataLoader(self.of_ranks[self.trainer.global_rank], batch_size=None)


class Recorder(Callback):
    """Keeps the learning rate, the loss and the logged metrics of each step."""

    def __init__(self, folder=None):
        self.folder, self.rates, self.losses, self.logged = folder, [], [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(outputs["loss"].item())
        self.logged.append({name: float(x) for name, x in trainer.callback_metrics.items()})

    def on_train_end(self, trainer, pl_module):
        if self.folder:
            torch.save(self.losses, f"{self.folder}/{trainer.global_rank}.pt")


def utterances():
    """Give features and labels of four utterances of unequal length."""
    draw = torch.Generator().manual_seed(0)
    features = [torch.randn(length, FEATURES, generator=draw) for length in LENGTHS]
    labels = [torch.randint(NUM_PHONES, (length,), generator=draw) for length in LENGTHS]
    return features, labels


def batch_of(*rows):
    features, labels = utterances()
    return Batch.collate([features[row] for row in rows], [labels[row] for row in rows], rows)


def trainer_of(**settings):
    settings = {"max_steps": 1, "devices": 1, **settings}
    return PhonemeTrainer(
        accelerator="cpu",
        precision="32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **settings,
    )


def classifier_of(**settings):
    torch.manual_seed(0)
    defaults = {"optimizer": partial(SGD, lr=1.0), "schedule": "constant", "warmup_steps": 0}
    return PhonemeClassifier(Plain(), **{**defaults, **settings})


def weights_of(classifier):
    return {name: p.detach().clone() for name, p in classifier.named_parameters()}


def step(batches=None, *, settings=None, **trainer_settings):
    """Fit (one step, unless said otherwise); give the recorder, and how far each weight moved."""
    classifier, recorder = classifier_of(**(settings or {})), Recorder()
    before = weights_of(classifier)
    trainer = trainer_of(callbacks=[recorder], **trainer_settings)
    trainer.fit(classifier, datamodule=Batches(batches or [batch_of(0, 1, 2, 3)]))
    return recorder, {name: before[name] - x for name, x in weights_of(classifier).items()}


def norm_of(moves):
    return math.sqrt(sum(float(move.square().sum()) for move in moves.values()))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_the_smoothed_cross_entropy_a_real_frame(smoothing):
    classifier = classifier_of(label_smoothing=smoothing)
    classifier.trainer = trainer_of()
    batch = batch_of(0, 1, 3)
    # The right class has 3, the others 0 on even utterances; all classes the same on odd ones.
    logits = torch.full((*batch.labels.shape, NUM_PHONES), 7.0)  # whatever stands in padding
    for row, length in enumerate(batch.lengths):
        logits[row, :length] = 0.0
    right = nn.functional.one_hot(batch.labels[0], NUM_PHONES)
    logits[0] = 3.0 * right
    log_sum = math.log(math.exp(3) + NUM_PHONES - 1)
    target = (1 - smoothing) + smoothing / NUM_PHONES
    confident, even = log_sum - 3 * target, math.log(NUM_PHONES)
    expected = (9 * confident + (2 + 1) * even) / 12
    assert float(classifier.loss(logits, batch)) == pytest.approx(expected, rel=1e-6)


def test_frames_without_a_label_neither_count_nor_thin_out_the_others():
    settings = {"label_smoothing": 0.1, **FURTHER}
    known, more = batch_of(0, 1), batch_of(0, 1, 2, 3)
    more.labels[2:] = IGNORE_LABEL  # two utterances of which nothing is known
    (one, moves), (two, others) = (step([batch], settings=settings) for batch in (known, more))
    assert two.losses == pytest.approx(one.losses, rel=1e-6)
    for name, move in moves.items():
        torch.testing.assert_close(others[name], move, atol=1e-6, rtol=1e-5)


def test_the_loss_of_validation_is_that_of_all_its_labelled_frames_together():
    batches = [batch_of(0, 1), batch_of(2, 3), batch_of(0)]
    batches[0].labels[0, 1:] = IGNORE_LABEL
    batches[2].labels.fill_(IGNORE_LABEL)
    classifier = classifier_of(**FURTHER).eval()
    with torch.no_grad():
        total = sum(frame_loss(classifier(batch), batch.labels) for batch in batches)
    [scores] = trainer_of().validate(
        classifier, DataLoader(batches, batch_size=None), verbose=False
    )
    assert scores["val/loss"] == pytest.approx(float(total) / (1 + 2 + 4 + 1), rel=1e-6)


def test_further_losses_have_their_weight_and_are_logged():
    batch, classifier = batch_of(0, 1, 2, 3), classifier_of(**FURTHER)
    with torch.no_grad():
        encoded = classifier.backbone(batch.features, batch.lengths)
        heads = classifier.further_heads
        own = frame_loss(classifier.head(encoded), batch.labels) / 16
        neighbour = neighbour_loss(heads["neighbour"](encoded), batch.labels, 2) / 16
        ctc = ctc_loss(heads["ctc"](encoded), batch.labels) / 16
    [logged] = step([batch], settings=FURTHER)[0].logged
    assert logged["train/neighbour_loss"] == pytest.approx(float(neighbour), rel=1e-6)
    assert logged["train/ctc_loss"] == pytest.approx(float(ctc), rel=1e-6)
    expected = float(own + 0.5 * neighbour + 0.25 * ctc)
    assert logged["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_further_losses_leave_the_first_weights_and_the_frames_own_loss_as_they_are():
    plain, further = classifier_of(), classifier_of(**FURTHER)
    assert not [name for name in plain.state_dict() if "further" in name]
    for name, weight in weights_of(plain).items():
        assert torch.equal(weights_of(further)[name], weight)
    batch = batch_of(0, 1, 2, 3)
    assert torch.equal(further(batch), plain(batch))


def test_a_mixed_step_learns_both_labels_by_their_shares():
    class Seed(Recorder):
        def on_train_batch_start(self, *arguments):
            super().on_train_batch_start(*arguments)
            torch.manual_seed(5)

    batch, classifier, seeded = batch_of(0, 1, 2, 3), classifier_of(mixup=0.8), Seed()
    torch.manual_seed(5)
    share = draw_share(0.8)
    mixed, others = mix_utterances(batch, share)
    with torch.no_grad():
        logits = classifier(mixed)
    kept, given = (frame_loss(logits, labels) for labels in (batch.labels, others))
    trainer_of(callbacks=[seeded]).fit(classifier, datamodule=Batches([batch]))
    assert 0.5 < share < 0.95
    expected = float(share * kept + (1 - share) * given) / 16
    assert seeded.losses == [pytest.approx(expected, rel=1e-6)]


def test_a_checkpoint_of_every_loss_predicts_by_itself(words, alone, tmp_path):
    PhonemeCLI(words(**{f"model__{key}": value for key, value in FURTHER.items()}))
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    classifier, _ = load_classifier(checkpoint)
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert classifier.further_heads.keys() == {"neighbour", "ctc"}
    assert all(torch.equal(saved[name], x) for name, x in classifier.state_dict().items())


def test_a_step_logs_its_loss_and_the_share_of_right_frames():
    batch = batch_of(0, 1, 2, 3)
    favourite = int(batch.labels[0, 0])
    classifier, recorder = classifier_of(), Recorder()
    nn.init.zeros_(classifier.head.weight)
    nn.init.zeros_(classifier.head.bias)
    classifier.head.bias.data[favourite] = 2.0
    trainer_of(callbacks=[recorder]).fit(classifier, datamodule=Batches([batch]))
    labels = np.concatenate([y.numpy() for y in utterances()[1]])
    share = float((labels == favourite).mean())
    [logged] = recorder.logged
    assert 0 < share < 1
    assert logged["train/frame_accuracy"] == pytest.approx(share)
    expected = math.log(math.exp(2) + NUM_PHONES - 1) - 2 * share
    assert logged["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_two_ranks_with_unequal_shares_take_the_step_of_one(tmp_path):
    settings = {"label_smoothing": 0.1, **FURTHER}
    recorder, alone = step(settings=settings)
    classifier = classifier_of(**settings)
    before = weights_of(classifier)
    trainer = trainer_of(devices=2, strategy="ddp_spawn", callbacks=[Recorder(str(tmp_path))])
    trainer.fit(classifier, datamodule=Batches([batch_of(0)], [batch_of(1, 2, 3)]))
    for name, weight in weights_of(classifier).items():
        torch.testing.assert_close(before[name] - weight, alone[name], atol=1e-6, rtol=1e-5)
    losses = [torch.load(tmp_path / f"{rank}.pt")[0] for rank in range(2)]
    assert losses[0] != pytest.approx(losses[1], rel=0.01)
    assert np.mean(losses) == pytest.approx(recorder.losses[0], rel=1e-5)


def test_the_global_norm_is_clipped_and_logged_as_it_was():
    free, whole = step()
    norm = norm_of(whole)  # the learning rate is 1
    assert norm > 0.1
    recorder, clipped = step(gradient_clip_val=0.01)
    assert norm_of(clipped) == pytest.approx(0.01, rel=1e-3)
    for name, move in clipped.items():
        torch.testing.assert_close(move, whole[name] * 0.01 / norm, atol=1e-6, rtol=1e-3)
    for run in (free, recorder):
        assert run.logged[0]["train/grad_norm"] == pytest.approx(norm, rel=1e-4)
    assert norm_of(step(gradient_clip_val=2 * norm)[1]) == pytest.approx(norm, rel=1e-4)


def test_each_gradient_is_clipped_by_value_where_that_is_asked_for():
    _, whole = step()
    _, clipped = step(gradient_clip_val=0.01, gradient_clip_algorithm="value")
    for name, move in clipped.items():
        torch.testing.assert_close(move, whole[name].clamp(-0.01, 0.01), atol=1e-6, rtol=0)


def test_a_gradient_that_is_not_finite_moves_nothing_and_is_counted():
    broken = batch_of(0, 1)
    broken.features[0, 0, 0] = math.inf
    classifier = classifier_of()
    before = weights_of(classifier)
    trainer = trainer_of(max_steps=2, gradient_clip_val=1.0)
    trainer.fit(classifier, datamodule=Batches([broken, broken]))
    for name, weight in weights_of(classifier).items():
        assert torch.equal(weight, before[name])
    assert int(classifier.lost_gradients) == int(classifier.lost_in_a_row) == 2
    trainer = trainer_of(max_steps=3, gradient_clip_val=1.0)
    trainer.fit(classifier, datamodule=Batches([broken, batch_of(2), broken]))
    assert int(classifier.lost_gradients) == 2
    assert int(classifier.lost_in_a_row) == 1
    assert all(weight.isfinite().all() for weight in weights_of(classifier).values())


@pytest.mark.parametrize(
    ("schedule", "after_warmup"),
    [("constant", [2, 2, 2, 2, 2]), ("linear", [2, 1.6, 1.2, 0.8, 0.4])],
)
def test_the_learning_rate_moves_every_step(schedule, after_warmup):
    settings = {"optimizer": partial(SGD, lr=2.0), "schedule": schedule, "warmup_steps": 3}
    recorder, _ = step([batch_of(row % 4) for row in range(8)], settings=settings, max_steps=8)
    assert recorder.rates == pytest.approx([0.5, 1, 1.5, *after_warmup])


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_that_falls_needs_an_end(schedule):
    with pytest.raises(InputError, match=rf"model\.schedule is '{schedule}'.*trainer\.max_steps"):
        step(settings={"schedule": schedule}, max_steps=-1, max_epochs=-1)


def test_the_optimizer_decays_weights_only():
    settings = {"optimizer": partial(AdamW, lr=0.1, weight_decay=0.5), **FURTHER}
    still = batch_of(0)
    still.labels.fill_(IGNORE_LABEL)  # no gradient: what moves is decayed
    classifier = classifier_of(label_smoothing=0.1, **settings)
    with torch.no_grad():
        classifier.backbone.norm.bias.fill_(1.0)
    before = weights_of(classifier)
    recorder = Recorder()
    trainer_of(callbacks=[recorder]).fit(classifier, datamodule=Batches([still]))
    assert recorder.losses == [0.0]
    for name, weight in weights_of(classifier).items():
        share = 0.95 if weight.ndim == 2 else 1.0
        torch.testing.assert_close(weight, share * before[name], msg=name)
    assert int(classifier.lost_gradients) == 0


@pytest.mark.parametrize(
    "setting",
    [
        {"label_smoothing": 1.0},
        {"ema_decay": -0.1},
        {"mixup": -0.1},
        {"neighbour_weight": math.inf},
        {"neighbour_frames": 0},
        {"ctc_weight": math.nan},
    ],
)
def test_a_setting_out_of_range_is_named(setting):
    [name] = setting
    with pytest.raises(InputError, match=rf"model\.{name} is {setting[name]}"):
        classifier_of(**setting)
