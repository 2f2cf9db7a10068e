"""What `auto` becomes, and that what is said is what is calculated in."""

import pytest
import torch

from phoneme_lightning.batch import Batch
from phoneme_lightning.models import CRNN, RNN
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.trainer import PhonemeTrainer, allow_tf32, resolve_precision


def test_what_is_asked_for_is_kept():
    assert resolve_precision("32-true") == "32-true"
    assert resolve_precision("16-mixed", "cuda") == "16-mixed"


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_on_a_cpu_follows_the_hardware(monkeypatch, has_bf16, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert resolve_precision("auto", "cpu") == expected
    assert PhonemeTrainer(accelerator="cpu", logger=False).precision == expected


@pytest.mark.parametrize("backbone", [RNN(hidden_size=4), CRNN(width=4, hidden_size=4)])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_recurrent_layers_run_in_the_precision_that_was_said(backbone, precision):
    classifier = PhonemeClassifier(backbone)
    batch = Batch.collate([torch.randn(9, 39), torch.randn(5, 39)], [None, None], [0, 1])
    trainer = PhonemeTrainer(accelerator="cpu", precision=precision, logger=False)
    seen = []
    backbone.recurrent.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    with trainer.precision_plugin.forward_context():
        classifier(batch)
    assert set(seen) == {torch.bfloat16 if precision == "bf16-mixed" else torch.float32}


@pytest.fixture
def tf32():
    """Give what tells whether TF32 is allowed; leave it as it was."""

    def tf32():
        products = torch.get_float32_matmul_precision()
        return products, torch.backends.cudnn.allow_tf32

    before = tf32()
    yield tf32
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def test_tf32_is_all_or_nothing_and_no_matter_of_a_cpu(tf32):
    before = tf32()
    PhonemeTrainer(accelerator="cpu", precision="32-true", logger=False)
    PhonemeTrainer(accelerator="cpu", precision="bf16-mixed", logger=False)
    assert tf32() == before
    allow_tf32(True)
    assert tf32() == ("high", True)
    allow_tf32(False)
    assert tf32() == ("highest", False)
