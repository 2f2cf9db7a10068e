"""The ONNX graph of every kind of net: what it gives, and what happens where it differs."""

from functools import cache

import pytest
import torch

from phoneme_lightning import models
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.export.graph import FromCepstra, write_onnx
from phoneme_lightning.inference.export.parity import LARGEST_DIFFERENCE, check_parity
from phoneme_lightning.training.classifier import PhonemeClassifier

ATTENTION = {"dim": 16, "num_layers": 2, "num_heads": 2, "feed_forward": 16}
NETS = {
    "lstm": ("RNN", {"hidden_size": 8}),
    "gru": ("RNN", {"hidden_size": 8, "cell": "gru", "convolutions": 1}),
    "crnn": ("CRNN", {"width": 4, "blocks": (1, 1, 1, 1), "hidden_size": 8}),
    "cnn": ("CNN", {"dim": 16, "num_blocks": 2}),
    "transformer": ("Transformer", ATTENTION),
    "conformer": ("Conformer", ATTENTION),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write the graph of a kind of net, once; give the net and the file."""
    folder = tmp_path_factory.mktemp("graphs")

    @cache
    def write(kind):
        torch.manual_seed(0)
        name, settings = NETS[kind]
        classifier = PhonemeClassifier(getattr(models, name)(**settings), num_classes=5)
        with torch.no_grad():  # so that every weight has its say
            for parameter in classifier.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        net = FromCepstra(classifier, "temporal").eval()
        write_onnx(net, 13, folder / f"{kind}.onnx")
        return net, folder / f"{kind}.onnx"

    return write


@pytest.mark.parametrize("kind", NETS)
def test_it_gives_what_pytorch_gives_for_any_batch_and_length(kind, written):
    net, file = written(kind)
    assert check_parity(net, file, 13) <= LARGEST_DIFFERENCE
    assert [type(x) for x in net.modules()].count(getattr(models, NETS[kind][0])) == 1


@pytest.mark.parametrize("change", [0.01, float("nan")])
def test_one_that_differs_is_refused_and_it_says_by_how_much(change, written):
    net, file = written("cnn")
    with torch.no_grad():
        bias = net.head.bias.clone()
        net.head.bias[2] += change
    try:
        with pytest.raises(InputError, match=r"^cnn\.onnx gives .* differ .* by up to [0-9i]"):
            check_parity(net, file, 13)
    finally:
        with torch.no_grad():
            net.head.bias.copy_(bias)
