"""What only a GPU can show; skipped without one."""

import copy
import sys
import warnings

import pytest
import torch
from lightning.pytorch import Callback
from torch import nn

from phoneme_lightning.batch import Batch
from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.data.augment import Augmentation
from phoneme_lightning.data.module import PhonemeDataModule, prepare
from phoneme_lightning.models import CNN, CRNN, RNN, Conformer, Transformer
from phoneme_lightning.models.recurrent_precision import (
    LARGEST_ERROR,
    cudnn_takes_bf16,
    recurrent_dtype,
    rounding_error,
    run_layer,
)
from phoneme_lightning.training.callbacks import ReseedEachStep, Throughput
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.compiling import compile_parts, compiler_works
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.optimizers import drop_gradients
from phoneme_lightning.training.trainer import PhonemeTrainer

pytestmark = pytest.mark.gpu

BACKBONES = {
    "rnn": lambda: RNN(hidden_size=32),
    "gru": lambda: RNN(cell="gru", hidden_size=32),
    "crnn": lambda: CRNN(width=8, hidden_size=32),
    "crnn-frame": lambda: CRNN(width=8, hidden_size=32, norm="frame"),
    "cnn": lambda: CNN(dim=32, num_blocks=2),
    "transformer": lambda: Transformer(dim=32, num_layers=2, num_heads=2, feed_forward=64),
    "conformer": lambda: Conformer(dim=32, num_layers=2, num_heads=2, feed_forward=64),
}


@pytest.fixture(params=BACKBONES)
def backbone(request):
    torch.manual_seed(0)
    return BACKBONES[request.param]().eval()


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    frames = (40, 23, 1)
    features = [torch.randn(count, 13, generator=draw) for count in frames]
    labels = [torch.randint(41, (count,), generator=draw) for count in frames]
    return Batch.collate(features, labels, range(len(frames)))


def test_gpu_equals_cpu_in_fp32(backbone, batch):
    on_cpu = prepare(batch, "temporal")
    on_gpu = prepare(batch.to("cuda"), "temporal")
    expected = backbone(on_cpu.features, on_cpu.lengths)
    with torch.no_grad():
        got = backbone.cuda()(on_gpu.features, on_gpu.lengths).cpu()
    assert torch.allclose(got[on_cpu.mask], expected[on_cpu.mask], atol=2e-2, rtol=2e-2)


def test_padding_changes_nothing_under_bf16(backbone, batch):
    backbone.cuda()
    ready = prepare(batch.to("cuda"), "temporal")
    spoilt = ready.features.masked_fill(~ready.mask[..., None], float("nan"))
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        clean, dirty = (backbone(x, ready.lengths) for x in (ready.features, spoilt))
    assert torch.equal(clean[ready.mask], dirty[ready.mask])


@pytest.mark.parametrize("asked", [torch.bfloat16, torch.float16])
def test_recurrent_layers_run_in_the_precision_that_is_said(batch, asked):
    backbone = RNN(hidden_size=8).cuda()
    seen = []
    backbone.recurrent.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    ready = prepare(batch.to("cuda"), "temporal")
    with torch.autocast("cuda", asked):
        backbone(ready.features, ready.lengths)
    assert set(seen) == {recurrent_dtype("cuda", asked)}


def test_cudnn_that_has_bf16_passes_its_trial():
    """With PyTorch 2.10 and cuDNN 9.13, from compute capability 8 on."""
    old = torch.backends.cudnn.version() < 91300 or torch.cuda.get_device_capability() < (8, 0)
    assert cudnn_takes_bf16(torch.cuda.current_device()) != old


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_recurrent_layer_in_16_bits_is_near_fp32_and_its_weights_are_copied_once(kind, dtype):
    if dtype == torch.bfloat16 and recurrent_dtype("cuda", dtype) != dtype:
        pytest.skip("no bf16 here")
    device = torch.device("cuda", torch.cuda.current_device())
    for hidden_size in (64, 256, 512):
        assert rounding_error(kind, hidden_size, device, dtype) < LARGEST_ERROR
    layer = kind(39, 64, batch_first=True).cuda()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PyTorch tells of weights that lie apart
        run_layer(layer, torch.randn(3, 9, 39, device="cuda", dtype=dtype))


def test_auto_is_near_fp32(backbone, batch):
    on_cpu = prepare(batch, "temporal")
    on_gpu = prepare(batch.to("cuda"), "temporal")
    with torch.no_grad():
        expected = backbone(on_cpu.features, on_cpu.lengths)[on_cpu.mask]
        with torch.autocast("cuda", torch.bfloat16):
            got = backbone.cuda()(on_gpu.features, on_gpu.lengths).float().cpu()[on_cpu.mask]
    assert (got - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize("name", ["crnn", "crnn-frame", "transformer", "conformer"])
def test_a_compiled_net_is_the_net(name, batch):
    if not compiler_works("cuda"):
        pytest.skip("no Triton here")
    torch.manual_seed(0)
    plain = BACKBONES[name]().cuda().eval()
    made = copy.deepcopy(plain)
    assert compile_parts(made, torch.device("cuda")) > 0
    ready = prepare(batch.to("cuda"), "temporal")
    for frames in (ready.features.shape[1], 33):
        lengths = ready.lengths.clamp(max=frames)
        outputs = [net(ready.features[:, :frames], lengths) for net in (plain, made)]
        torch.testing.assert_close(outputs[1], outputs[0], atol=2e-2, rtol=2e-2)


def test_lost_gradients_are_zero():
    image = torch.randn(2, 3, 4, 5, device="cuda").contiguous(memory_format=torch.channels_last)
    gradients = [torch.tensor([float("nan"), float("inf"), 1.0], device="cuda"), image]
    before = [gradient.clone() for gradient in gradients]
    drop_gradients(gradients, torch.tensor(False, device="cuda"))
    torch.testing.assert_close(gradients, before, equal_nan=True)
    drop_gradients(gradients, torch.tensor(True, device="cuda"))
    assert not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", ("high", True)), ("16-mixed", ("high", True)), ("32-true", ("highest", False))],
)
def test_fp32_is_tf32_unless_32_true_is_asked_for(precision, expected):
    PhonemeTrainer(accelerator="gpu", precision=precision, logger=False)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == expected


class Begin(Callback):
    """Lets PyTorch refuse to wait for the GPU, from the fourth step on."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step >= 3:
            torch.cuda.set_sync_debug_mode("error")


class Watched(PhonemeClassifier):
    """Lets it wait again, after all callbacks; keeps what memory each step leaves behind."""

    def on_train_batch_end(self, outputs, batch, batch_idx):
        torch.cuda.set_sync_debug_mode("default")
        self.memory = [*getattr(self, "memory", []), torch.cuda.memory_allocated()]


@pytest.mark.parametrize("name", ["rnn", "crnn", "cnn", "transformer", "conformer"])
def test_a_step_never_waits_for_the_gpu_and_leaves_nothing_behind(name, make_store, tmp_path):
    recurrent_dtype("cuda", torch.bfloat16)  # its trial waits, once
    classifier = Watched(BACKBONES[name](), ema_decay=0.9)
    trainer = PhonemeTrainer(
        accelerator="gpu",
        devices=1,
        precision="auto",
        max_steps=12,
        gradient_clip_val=1.0,
        limit_val_batches=0,
        log_every_n_steps=100,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[Begin(), ReseedEachStep(0), Throughput()],
    )
    store = make_store(tmp_path / "store", utterances=64)
    data = PhonemeDataModule(corpus=str(store.path), frames_per_batch=200)
    try:
        trainer.fit(classifier, datamodule=data)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert trainer.global_step == 12
    assert max(classifier.memory[6:]) < 1.2 * max(classifier.memory[2:6])


def test_preparing_a_training_batch_does_not_wait_for_the_gpu(batch):
    ready = batch.to("cuda")
    generator = torch.Generator("cuda").manual_seed(0)
    augment = Augmentation(time_masks=2, coefficient_masks=1, noise=0.1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        prepare(ready, "temporal", augment, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["auto", "16-mixed", "32-true"])
def test_a_fit_on_the_gpu_ends_and_is_finite(make_store, tmp_path, monkeypatch, precision):
    monkeypatch.setattr(sys, "argv", ["phoneme-cli"])
    store = make_store(tmp_path / "store")
    settings = {
        "data.corpus": store.path,
        "data.frames_per_batch": 200,
        "model.backbone": "phoneme_lightning.models.CRNN",
        "model.backbone.init_args.width": 8,
        "model.backbone.init_args.hidden_size": 16,
        "trainer.accelerator": "gpu",
        "trainer.devices": 1,
        "trainer.precision": precision,
        "trainer.max_steps": 6,
        "trainer.log_every_n_steps": 1,
        "wandb.mode": "disabled",
        "run.folder": tmp_path / "run",
    }
    PhonemeCLI(["fit", *(f"--{key}={value}" for key, value in settings.items())])
    losses = [
        row["train/loss"]
        for row in read_metrics(tmp_path / "run" / "metrics.csv")
        if "train/loss" in row
    ]
    assert len(losses) == 6
    assert torch.tensor(losses).isfinite().all()
