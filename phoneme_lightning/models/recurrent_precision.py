"""The precision that recurrent layers run in, and how to run one in another than its weights'."""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["cudnn_takes_bf16", "recurrent_dtype", "rounding_error", "run_layer"]

HIDDEN_SIZES = (16, 160, 512)
"""cuDNN has other kernels for up to 128 units, up to 192, and for more."""

MULTIPLE = 8
"""Of 16-bit numbers in 16 bytes, by which the kernels step."""

LARGEST_ERROR = 0.05
"""In bf16 the shapes tried below come out within 0.02 of fp32."""


def recurrent_dtype(device_type: str, autocast_dtype: torch.dtype | None) -> torch.dtype:
    """Tell in which precision the recurrent layers run, so that it can be said before a fit.

    They follow autocast where there are kernels for it: bf16 on a CPU; on CUDA fp16, and bf16 where
    cuDNN proves there and then that it has it. Everywhere else they run in fp32, or TF32 where the
    trainer allows that.

    Args:
        device_type: "cpu", "cuda" (the current device), ...
        autocast_dtype: what autocast runs in there; None where it is off.

    Returns:
        The dtype of the layers' inputs, states and outputs.
    """
    native = {("cpu", torch.bfloat16), ("cuda", torch.float16)}
    if device_type == "cuda" and autocast_dtype == torch.bfloat16 and torch.cuda.is_available():
        if cudnn_takes_bf16(torch.cuda.current_device()):
            return torch.bfloat16
    elif autocast_dtype is not None and (device_type, autocast_dtype) in native:
        return autocast_dtype
    return torch.float32


def run_layer(layer: nn.LSTM | nn.GRU, inputs: Tensor) -> Tensor:
    """Run a layer of one direction in the precision of its inputs, whatever autocast says.

    PyTorch's autocast casts a cuDNN RNN to fp16 even where bf16 was asked for
    (aten/src/ATen/cudnn/AutocastRNN.cpp), and a layer by itself takes inputs of its weights' dtype
    only. The weights are cast as one piece of memory in cuDNN's order, or it would copy them again.
    In 16 bits, zeros make the size of the inputs a multiple of 8: with an odd one, as 39 is,
    oneDNN's LSTM is several times slower forward (benchmarks/ideas.py).

    Args:
        layer: batch_first, of one layer and one direction, with biases.
        inputs: (batch, frames, layer.input_size), of any floating dtype that the kernels have.

    Returns:
        (batch, frames, layer.hidden_size), of the inputs' dtype; the initial state is zero.
    """
    weights: list[Tensor] = [*layer.all_weights[0]]
    if inputs.dtype != weights[0].dtype:
        if spare := -layer.input_size % MULTIPLE:
            inputs = F.pad(inputs, (0, spare))
            weights = [F.pad(weights[0], (0, spare)), *weights[1:]]
        flat = torch.cat([weight.flatten() for weight in weights]).to(inputs.dtype)
        pieces = flat.split_with_sizes([weight.numel() for weight in weights])
        weights = [piece.view_as(weight) for piece, weight in zip(pieces, weights, strict=True)]
    state = inputs.new_zeros(1, len(inputs), layer.hidden_size)
    how = (True, 1, 0.0, layer.training, False, True)  # biases, layers, dropout, ..., batch first
    with torch.autocast(inputs.device.type, enabled=False):
        if isinstance(layer, nn.LSTM):
            return torch.lstm(inputs, (state, state), weights, *how)[0]
        return torch.gru(inputs, state, weights, *how)[0]


@functools.cache
def cudnn_takes_bf16(device: int) -> bool:
    """Try once on a GPU whether its cuDNN runs LSTM and GRU in bf16, and runs them right.

    cuDNN has it since 9.13, and PyTorch calls it since 2.10 (pull request 164411); older ones step
    through the frames with kernels of their own, which is slower than fp32.

    Args:
        device: number of the GPU.

    Returns:
        Whether outputs and gradients of all sizes tried are near those of fp32. Whatever goes
        wrong means no.
    """
    try:
        with torch.random.fork_rng([]), torch.inference_mode(False), torch.enable_grad():
            return all(
                rounding_error(kind, hidden_size, torch.device("cuda", device)) < LARGEST_ERROR
                for kind in (nn.LSTM, nn.GRU)
                for hidden_size in HIDDEN_SIZES
            )
    except Exception:
        return False


def rounding_error(
    kind: type[nn.LSTM] | type[nn.GRU],
    hidden_size: int,
    device: torch.device,
    dtype: torch.dtype = torch.bfloat16,
) -> float:
    """Measure how far a layer of random weights in a low precision is from fp32.

    Args:
        kind: of the layer.
        hidden_size: of the layer.
        device: where it runs.
        dtype: the low precision.

    Returns:
        The largest relative error (in norm) among the outputs and the gradients of the inputs and
        weights; infinite where they are not finite.

    Raises:
        NotImplementedError: a GPU runs it without cuDNN.
    """
    layer = kind(128, hidden_size, batch_first=True).to(device)
    inputs = torch.randn(8, 20, layer.input_size).to(device)

    def run(dtype: torch.dtype) -> tuple[Tensor, ...]:
        cast = inputs.to(dtype, copy=True).requires_grad_()
        outputs = run_layer(layer, cast)
        if device.type == "cuda" and "Cudnn" not in str(outputs.grad_fn):
            raise NotImplementedError(f"{outputs.grad_fn} is no work of cuDNN")
        to = (cast, *layer.parameters())
        return outputs, *torch.autograd.grad(outputs.float().square().sum(), to)

    pairs = zip(run(dtype), run(torch.float32), strict=True)
    errors = [
        float((low.float() - full).detach().norm() / full.detach().norm()) for low, full in pairs
    ]
    return max(math.inf if math.isnan(error) else error for error in errors)
