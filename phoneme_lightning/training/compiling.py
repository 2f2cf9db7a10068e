"""torch.compile for the parts of a network that gain by it, where it works at all."""

import functools

import torch
from torch import nn

from phoneme_lightning.models.conformer import FeedForward, SelfAttention
from phoneme_lightning.models.norm import FrameBatchNorm, FrameLayerNorm
from phoneme_lightning.models.transformer import EncoderLayer

__all__ = ["compile_parts", "compiler_works"]

PARTS = (EncoderLayer, FeedForward, SelfAttention, FrameBatchNorm, FrameLayerNorm)
"""What holds neither a recurrent layer, at which torch.compile breaks off, nor a convolution, whose
gradient it makes anew for every length of a batch (PyTorch 2.15)."""


def compile_parts(backbone: nn.Module, device: torch.device) -> int:
    """Compile a Transformer's layers, a Conformer's branches or a CRNN's norms, in place.

    Parameters keep their names. The convolution is the branch that is left as it is.

    Batches differ in utterances and frames, so the code that is made leaves both open. A part that
    cannot be compiled after all runs as it was written.

    Args:
        backbone: any of the package's.
        device: where it will run.

    Returns:
        How many parts will be compiled when they first run; 0 where that does not work.
    """
    parts = [module for module in backbone.modules() if isinstance(module, PARTS)]
    if not parts or not compiler_works(device.type):
        return 0
    import torch._dynamo  # here, since it takes a second

    torch._dynamo.config.suppress_errors = True
    for part in parts:
        part.compile(dynamic=True)
    return len(parts)


@functools.cache
def compiler_works(device_type: str) -> bool:
    """Try once whether code can be made and run here: a CPU needs a C++ compiler, a GPU Triton.

    Args:
        device_type: "cpu" or "cuda".

    Returns:
        Whether a small function and its gradient came out right. Whatever goes wrong means no.
    """
    try:
        values = torch.linspace(-1.0, 1.0, 64, device=device_type, requires_grad=True)
        with torch.inference_mode(False), torch.enable_grad():
            results = []
            for function in (_probe, torch.compile(_probe, dynamic=True, fullgraph=True)):
                outputs = function(values)
                results.append((outputs, *torch.autograd.grad(outputs.square().sum(), values)))
        return all(torch.allclose(plain, made) for plain, made in zip(*results, strict=True))
    except Exception:
        return False


def _probe(values: torch.Tensor) -> torch.Tensor:
    return (values.sin() * values).softmax(0)
