"""What every backbone promises, run over all of them at tiny sizes."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from phoneme_lightning.errors import InputError
from phoneme_lightning.models import CNN, CRNN, RNN, Backbone, Conformer, Transformer
from phoneme_lightning.models.trunk import ResNetTrunk

TINY: dict[str, Callable[[], Backbone]] = {
    "rnn-lstm": lambda: RNN(cell="lstm", hidden_size=16),
    "rnn-gru": lambda: RNN(cell="gru", hidden_size=16, projection=12),
    "rnn-convolutions": lambda: RNN(hidden_size=16, convolutions=2),
    "crnn-batch": lambda: CRNN(width=8, hidden_size=16, trunk_dropout=0.1),
    "crnn-frame": lambda: CRNN(width=8, hidden_size=16, norm="frame", stem_pool=True),
    "cnn": lambda: CNN(dim=32, num_blocks=4),
    "transformer": lambda: Transformer(dim=32, num_layers=2, num_heads=2, feed_forward=64),
    "conformer": lambda: Conformer(
        dim=32, num_layers=2, num_heads=2, feed_forward=64, kernel_size=7
    ),
}
LENGTHS = torch.tensor([33, 1, 20, 27])
GARBAGE = {"large": 1e4, "nan": float("nan"), "infinite": float("inf")}


@pytest.fixture(params=TINY)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """Each backbone in evaluation mode, its biases away from where they start."""
    torch.manual_seed(0)
    made = TINY[request.param]()
    with torch.no_grad():
        for tensor in made.state_dict().values():
            if tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return made.eval()


@pytest.fixture
def features() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(LENGTHS), 33, 39, generator=generator)


def with_padding(features: Tensor, value: float) -> Tensor:
    """Features with a value in every place beyond an utterance's length."""
    mask = torch.arange(features.shape[1]) < LENGTHS[:, None]
    return features.where(mask[..., None], value)


def real_frames(encoded: Tensor) -> Tensor:
    """Real frames of all utterances one after another, (frames, dim)."""
    return torch.cat([rows[:length] for rows, length in zip(encoded, LENGTHS, strict=True)])


def run(backbone: Backbone, features: Tensor, precision: str) -> Tensor:
    """Encode a batch from the same random state every time."""
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        encoded: Tensor = backbone(features, LENGTHS)
    return encoded


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("training", [False, True])
def test_what_stands_in_padding_changes_no_real_frame(
    backbone: Backbone, features: Tensor, training: bool, precision: str
) -> None:
    backbone.train(training)
    clean = run(backbone, with_padding(features, 0.0), precision)
    assert clean.shape == (*features.shape[:2], backbone.output_dim)
    assert real_frames(clean).isfinite().all()
    for value in GARBAGE.values():
        dirty = run(backbone, with_padding(features, value), precision)
        assert torch.equal(real_frames(clean), real_frames(dirty))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2e-5), ("bf16", 6e-2)])
def test_an_utterance_alone_gives_what_it_gives_in_a_batch(
    backbone: Backbone, features: Tensor, precision: str, tolerance: float
) -> None:
    together = run(backbone, features, precision).float()
    for row, length in enumerate(LENGTHS):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            alone = backbone(features[row : row + 1, :length], LENGTHS[row : row + 1]).float()
        assert alone.shape == (1, length, backbone.output_dim)
        torch.testing.assert_close(alone[0], together[row, :length], atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_finite_gradient_reaches_every_parameter(
    backbone: Backbone, features: Tensor, precision: str
) -> None:
    encoded = real_frames(run(backbone.train(), with_padding(features, float("nan")), precision))
    (encoded.float() * torch.randn(encoded.shape)).sum().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_no_gradient_flows_into_padding(backbone: Backbone, features: Tensor) -> None:
    features.requires_grad_()
    run(backbone.train(), features, "fp32").square().sum().backward()
    assert features.grad is not None
    assert real_frames(features.grad).any()
    assert not with_padding(features.grad, 0.0).ne(features.grad).any()


@pytest.mark.parametrize("name", TINY)
def test_it_overfits_one_batch(name: str, features: Tensor) -> None:
    torch.manual_seed(0)
    backbone, classes = TINY[name]().train(), 4
    for module in backbone.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    labels = real_frames(features)[:, :classes].argmax(dim=-1)
    head = nn.Linear(backbone.output_dim, classes)
    optimiser = torch.optim.AdamW([*backbone.parameters(), *head.parameters()], lr=3e-3)
    correct = 0.0
    for _ in range(120):
        logits = head(real_frames(backbone(features, LENGTHS)))
        correct = (logits.argmax(dim=-1) == labels).double().mean().item()
        if correct > 0.95:
            break
        optimiser.zero_grad()
        nn.functional.cross_entropy(logits, labels).backward()
        optimiser.step()
    assert correct > 0.95


def test_a_state_dict_and_a_deep_copy_give_equal_outputs(
    backbone: Backbone, features: Tensor, request: pytest.FixtureRequest
) -> None:
    run(backbone.train(), features, "fp32").square().mean().backward()
    expected = run(backbone.eval(), features, "fp32")
    other = TINY[request.node.callspec.params["backbone"]]().eval()
    assert not torch.equal(run(other, features, "fp32"), expected)
    other.load_state_dict(backbone.state_dict())
    assert torch.equal(run(other, features, "fp32"), expected)
    assert torch.equal(run(copy.deepcopy(backbone), features, "fp32"), expected)


@pytest.mark.parametrize("name", TINY)
def test_a_seed_decides_everything(name: str, features: Tensor) -> None:
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append(run(TINY[name]().train(), features, "fp32"))
    assert torch.equal(*runs)


def test_one_frame_is_enough(backbone: Backbone) -> None:
    for batch in (1, 3):
        encoded = backbone(torch.randn(batch, 1, 39), torch.ones(batch, dtype=torch.int64))
        assert encoded.shape == (batch, 1, backbone.output_dim)
        assert encoded.isfinite().all()


def reach(changed: Tensor) -> int:
    """How many frames each side of the middle one differ, from (frames,), bool."""
    (where,) = changed.nonzero(as_tuple=True)
    middle = len(changed) // 2
    assert where.max() - middle == middle - where.min()
    return int(where.max() - middle)


def test_the_cnn_sees_as_far_as_its_docstring_says() -> None:
    backbone = CNN(dim=8, num_blocks=3, kernel_size=3, dilations=(1, 4)).eval()
    features = torch.randn(1, 41, 39)
    nudged = features.clone()
    nudged[0, 20] += 10.0
    lengths = torch.tensor([41])
    changed = (backbone(features, lengths) != backbone(nudged, lengths)).any(dim=-1)[0]
    assert reach(changed) == 1 + (1 + 4 + 1)


def test_convolutions_stand_before_the_first_recurrent_layer_and_none_change_nothing() -> None:
    plain, projected = RNN(hidden_size=8), RNN(hidden_size=8, projection=12, convolutions=2)
    assert not any(name.startswith("convolutions") for name in plain.state_dict())
    assert projected.get_submodule("recurrent.forward_layers.0").input_size == 12
    unnamed = RNN(hidden_size=8, convolutions=2)
    assert unnamed.get_submodule("recurrent.forward_layers.0").input_size == 8
    seen = []
    for made in (unnamed, projected):
        made.recurrent.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        features = torch.randn(1, 21, 39)
        nudged = features.clone()
        nudged[0, 10] += 10.0
        for given in (features, nudged):
            made.eval()(given, torch.tensor([21]))
        assert reach((seen[-1] != seen[-2]).any(dim=-1)[0]) == 2 + 2


def test_the_trunks_dropout_drops_what_the_first_recurrent_layer_reads() -> None:
    backbone = CRNN(width=8, hidden_size=8, dropout=0.0, trunk_dropout=1.0)
    features, lengths = torch.randn(2, 2, 9, 39), torch.tensor([9, 5])
    assert torch.equal(*(backbone.train()(given, lengths) for given in features))
    assert not torch.equal(*(backbone.eval()(given, lengths) for given in features))


def test_the_trunk_sees_19_frames_each_side() -> None:
    trunk = ResNetTrunk(channels=3, bins=13, width=4).double().eval()
    image = torch.randn(1, 3, 13, 61, dtype=torch.float64)
    nudged = image.clone()
    nudged[..., 30] += 10.0
    mask = torch.ones(1, 61, dtype=torch.bool)
    assert reach((trunk(image, mask) != trunk(nudged, mask)).any(dim=-1)[0]) == 19


def test_the_trunk_is_torchvisions_resnet18() -> None:
    from torchvision.models import resnet18

    with torch.device("meta"):
        theirs, ours = resnet18().state_dict(), CRNN().trunk.state_dict()
    expected = {name: x.shape for name, x in theirs.items() if not name.startswith("fc.")}
    assert {name: x.shape for name, x in ours.items()} == expected


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: CRNN(num_features=40), "num_features is 40"),
        (lambda: RNN(convolutions=-1), "convolutions is -1"),
        (lambda: CNN(kernel_size=4), "kernel_size is 4"),
        (lambda: Transformer(kernel_size=4), "kernel_size is 4"),
        (lambda: Transformer(dim=36, num_heads=4), "dim is 36"),
        (lambda: Conformer(kernel_size=30), "kernel_size is 30"),
        (lambda: Conformer(dim=36, num_heads=4), "dim is 36"),
    ],
)
def test_a_size_that_cannot_be_is_named(make: Callable[[], Backbone], key: str) -> None:
    with pytest.raises(InputError, match=rf"model\.backbone\.init_args\.{key}"):
        make()
