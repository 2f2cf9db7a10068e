"""A recurrent layer in another precision than its weights', and the trial that bf16 must pass."""

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from phoneme_lightning.models import recurrent_precision
from phoneme_lightning.models.recurrent_precision import (
    HIDDEN_SIZES,
    LARGEST_ERROR,
    cudnn_takes_bf16,
    recurrent_dtype,
    rounding_error,
    run_layer,
)

KINDS = [nn.LSTM, nn.GRU]
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("device_type", "asked", "expected"),
    [
        ("cpu", torch.bfloat16, torch.bfloat16),
        ("cpu", torch.float16, torch.float32),
        ("cpu", None, torch.float32),
        ("cuda", torch.float16, torch.float16),
        ("cuda", None, torch.float32),
        ("mps", torch.float16, torch.float32),
    ],
)
def test_a_low_precision_is_used_only_where_the_kernels_have_it(
    device_type: str, asked: torch.dtype | None, expected: torch.dtype
) -> None:
    assert recurrent_dtype(device_type, asked) == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU answers for itself")
def test_bf16_on_a_gpu_that_cannot_be_tried_is_fp32() -> None:
    before = torch.get_rng_state()
    assert not cudnn_takes_bf16(0)
    assert torch.equal(torch.get_rng_state(), before)
    assert recurrent_dtype("cuda", torch.bfloat16) == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_in_fp32_it_is_the_layer_itself(kind: type[nn.LSTM] | type[nn.GRU]) -> None:
    layer = kind(7, 5, batch_first=True)
    inputs = torch.randn(3, 9, 7, requires_grad=True)
    to = (inputs, *layer.parameters())
    mine, its = run_layer(layer, inputs), layer(inputs)[0]
    torch.testing.assert_close(mine, its, rtol=0, atol=0)
    pairs = zip(
        torch.autograd.grad(mine.sum(), to), torch.autograd.grad(its.sum(), to), strict=True
    )
    for got, expected in pairs:
        torch.testing.assert_close(got, expected)


class Calls(TorchFunctionMode):
    """Keeps the weights that PyTorch's recurrent functions are called with."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if function in (torch.lstm, torch.gru):
            self.weights = list(args[2])
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("autocast", [torch.bfloat16, None])
def test_weights_are_cast_as_one_piece_and_their_gradients_stay_fp32(
    kind: type[nn.LSTM] | type[nn.GRU], autocast: torch.dtype | None
) -> None:
    layer = kind(8, 5, batch_first=True)
    with Calls() as calls, torch.autocast("cpu", autocast, enabled=autocast is not None):
        outputs = run_layer(layer, torch.randn(3, 9, 8, dtype=torch.bfloat16))
    assert outputs.dtype == torch.bfloat16
    assert {weight.dtype for weight in calls.weights} == {torch.bfloat16}
    starts = [weight.storage_offset() for weight in calls.weights]
    sizes = [weight.numel() for weight in layer.parameters()]
    assert starts == [sum(sizes[:place]) for place in range(4)]  # cuDNN's order, without gaps
    assert len({weight.untyped_storage().data_ptr() for weight in calls.weights}) == 1
    outputs.float().sum().backward()
    for weight in layer.parameters():
        assert weight.grad is not None
        assert weight.grad.dtype == torch.float32
        assert weight.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_size_of_the_inputs_changes_nothing(kind: type[nn.LSTM] | type[nn.GRU]) -> None:
    layer, inputs = kind(7, 5, batch_first=True), torch.randn(3, 9, 7)
    low, full = run_layer(layer, inputs.bfloat16()), run_layer(layer, inputs)
    torch.testing.assert_close(low.float(), full, atol=0.02, rtol=0.02)
    gradients = [torch.autograd.grad(x.float().sum(), layer.weight_ih_l0)[0] for x in (low, full)]
    torch.testing.assert_close(*gradients, atol=0.2, rtol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_right_kernels_pass_the_trial_with_room_to_spare(
    kind: type[nn.LSTM] | type[nn.GRU],
) -> None:
    for hidden_size in HIDDEN_SIZES[:2]:
        assert 0 < rounding_error(kind, hidden_size, CPU) < LARGEST_ERROR / 2
        assert rounding_error(kind, hidden_size, CPU, torch.float32) == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: 1.2 * x,
        lambda x: x * float("nan"),
        lambda x: x.roll(1, 1),
        lambda x: x.detach() + x,
    ],
    ids=["scaled", "nan", "late", "gradient"],
)
def test_wrong_kernels_fail_it(monkeypatch: pytest.MonkeyPatch, spoil) -> None:  # type: ignore[no-untyped-def]
    def wrong(layer: nn.LSTM | nn.GRU, inputs: Tensor) -> Tensor:
        outputs = run_layer(layer, inputs)
        return spoil(outputs) if inputs.dtype == torch.bfloat16 else outputs

    monkeypatch.setattr(recurrent_precision, "run_layer", wrong)
    assert not rounding_error(nn.LSTM, 16, CPU) < LARGEST_ERROR
