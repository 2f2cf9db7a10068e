"""Whether an ONNX graph gives what PyTorch gives, whatever the batch and the frames."""

from pathlib import Path

import numpy as np
import torch

from phoneme_lightning.batch import frame_mask
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.export.graph import INPUTS, OUTPUT, FromCepstra

__all__ = ["CHECKED", "LARGEST_DIFFERENCE", "check_parity"]

CHECKED = ((1, 7), (3, 150), (1, 403))
"""Utterances and frames of the batches that are compared, none of them the traced example."""

LARGEST_DIFFERENCE = 1e-4
"""Of a class's probability, between two orders of the same fp32 sums."""


def check_parity(net: FromCepstra, path: Path, coefficients: int) -> float:
    """Compare an ONNX graph, as onnxruntime runs it on a CPU, with the net in PyTorch.

    Batches hold utterances of different lengths, and NaN in their padding.

    Args:
        net: in evaluation mode, on the CPU.
        path: the graph, as one .onnx file.
        coefficients: cepstra a frame.

    Returns:
        The largest difference of a probability.

    Raises:
        InputError: it is more than LARGEST_DIFFERENCE.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    draw = torch.Generator().manual_seed(0)
    largest = 0.0
    for utterances, frames in CHECKED:
        cepstra = 5.0 * torch.randn(utterances, frames, coefficients, generator=draw) + 1.0
        lengths = torch.randint(1, frames, (utterances,), generator=draw)
        lengths[0] = frames
        real = frame_mask(lengths, frames)
        cepstra = cepstra.masked_fill(~real[..., None], torch.nan)
        given = dict(zip(INPUTS, (cepstra.numpy(), lengths.numpy()), strict=True))
        [theirs] = session.run([OUTPUT], given)
        with torch.inference_mode():
            mine = net(cepstra, lengths).numpy()
        differences = np.abs(np.exp(mine) - np.exp(theirs))[real.numpy()]
        largest = max(largest, float(np.nan_to_num(differences, nan=np.inf).max()))
    if largest > LARGEST_DIFFERENCE:
        raise InputError(
            f"{path.name} gives probabilities that differ from PyTorch's by up to {largest:.2g}, "
            f"and {LARGEST_DIFFERENCE:g} is allowed: give --no-onnx to export without it"
        )
    return largest
