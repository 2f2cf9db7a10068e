"""The ONNX graph of every kind of net: what it gives, and what happens where it differs."""

from types import SimpleNamespace

import pytest
import torch

from phoneme_lightning import models
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.export.graph import EXAMPLE, FromCepstra, write_onnx
from phoneme_lightning.inference.export.parity import CHECKED, LARGEST_DIFFERENCE, check_parity
from phoneme_lightning.inference.export.recurrent import OnnxRecurrent
from phoneme_lightning.training.classifier import PhonemeClassifier

CLASSES = 5
ATTENTION = {"dim": 16, "num_layers": 2, "num_heads": 2, "feed_forward": 16}
NETS = {
    "lstm": ("RNN", {"hidden_size": 8, "num_layers": 2}),
    "gru": ("RNN", {"hidden_size": 8, "cell": "gru", "convolutions": 1, "num_layers": 1}),
    "crnn": ("CRNN", {"width": 4, "blocks": (1, 1, 1, 1), "hidden_size": 8, "num_layers": 1}),
    "cnn": ("CNN", {"dim": 16, "num_blocks": 2}),
    "transformer": ("Transformer", ATTENTION),
    "conformer": ("Conformer", ATTENTION),
}


class Backbones(torch.nn.Module):
    """All kinds of backbone on the same input: to trace deltas and the rest six times takes long.

    Args:
        classifiers: by the name of their kind.
    """

    def __init__(self, classifiers):
        super().__init__()
        self.each = torch.nn.ModuleList(x.backbone for x in classifiers.values())

    def forward(self, features, lengths):
        return [backbone(features, lengths) for backbone in self.each]


class Heads(torch.nn.Module):
    """Their classes end to end, each kind's probabilities an equal share of all."""

    def __init__(self, classifiers):
        super().__init__()
        self.each = torch.nn.ModuleDict({kind: x.head for kind, x in classifiers.items()})

    def forward(self, encoded):
        parts = zip(self.each.values(), encoded, strict=True)
        return torch.cat([head(x).log_softmax(-1) for head, x in parts], dim=-1)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write a graph of all kinds of net; give the nets and the file."""
    file = tmp_path_factory.mktemp("graphs") / "all.onnx"
    torch.manual_seed(0)
    classifiers = {}
    for kind, (name, settings) in NETS.items():
        classifier = PhonemeClassifier(getattr(models, name)(**settings), num_classes=CLASSES)
        with torch.no_grad():  # so that every weight has its say
            for parameter in classifier.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        classifiers[kind] = classifier
    whole = SimpleNamespace(backbone=Backbones(classifiers), head=Heads(classifiers))
    net = FromCepstra(whole, "temporal").eval()
    write_onnx(net, 13, file)
    return net, file


def test_it_gives_what_pytorch_gives_for_any_batch_and_length_and_kind_of_net(written):
    net, file = written
    example = EXAMPLE[1]
    assert len({frames for _, frames in CHECKED} - {example}) >= 3
    assert check_parity(net, file, 13) <= LARGEST_DIFFERENCE / len(NETS)
    # The recurrent nets are as they were: their layers became ONNX's in a copy.
    assert not any(isinstance(x, OnnxRecurrent) for x in net.modules())


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("change", [0.01, float("nan")])
def test_one_that_differs_is_refused_and_it_says_by_how_much(kind, change, written):
    net, file = written
    bias = net.head.each[kind].bias
    before = bias.detach().clone()
    with torch.no_grad():
        bias[2] += 10 * change
    try:
        with pytest.raises(InputError, match=r"^all\.onnx gives .* differ .* by up to [0-9i]"):
            check_parity(net, file, 13)
    finally:
        with torch.no_grad():
            bias.copy_(before)
