"""What only a GPU can show; skipped without one."""

import sys

import pytest
import torch

from phoneme_lightning.batch import Batch
from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.data.augment import Augmentation
from phoneme_lightning.data.module import prepare
from phoneme_lightning.models import CNN, CRNN, RNN, Transformer
from phoneme_lightning.models.recurrent import recurrent_dtype
from phoneme_lightning.training.curves import read_metrics

pytestmark = pytest.mark.gpu

BACKBONES = {
    "rnn": lambda: RNN(hidden_size=32),
    "gru": lambda: RNN(cell="gru", hidden_size=32),
    "crnn": lambda: CRNN(width=8, hidden_size=32),
    "crnn-frame": lambda: CRNN(width=8, hidden_size=32, norm="frame"),
    "cnn": lambda: CNN(dim=32, num_blocks=2),
    "transformer": lambda: Transformer(dim=32, num_layers=2, num_heads=2, feed_forward=64),
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
    for layer in backbone.recurrent.modules():
        if isinstance(layer, torch.nn.LSTM):
            layer.register_forward_hook(lambda _, __, output: seen.append(output[0].dtype))
    ready = prepare(batch.to("cuda"), "temporal")
    with torch.autocast("cuda", asked):
        backbone(ready.features, ready.lengths)
    assert set(seen) == {recurrent_dtype("cuda", asked)}


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
