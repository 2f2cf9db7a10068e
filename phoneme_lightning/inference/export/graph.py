"""The ONNX graph: from cepstra to log-probabilities, whatever the batch and the frames."""

import warnings
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from phoneme_lightning.batch import Batch
from phoneme_lightning.data.deltas import Deltas
from phoneme_lightning.data.module import prepare
from phoneme_lightning.inference.export.recurrent import use_onnx_recurrence
from phoneme_lightning.training.classifier import PhonemeClassifier

__all__ = ["INPUTS", "OUTPUT", "FromCepstra", "write_onnx"]

INPUTS = ("cepstra", "lengths")
OUTPUT = "log_probabilities"
OPSET = 18
EXAMPLE = (3, 29)
"""Utterances and frames with which the graph is traced; it takes any."""


class FromCepstra(nn.Module):
    """A classifier with what comes before it, deltas and normalisation, and after it, log-softmax.

    Args:
        classifier: in evaluation mode.
        deltas: what stood beside the cepstra in its fit.
    """

    def __init__(self, classifier: PhonemeClassifier, deltas: Deltas) -> None:
        super().__init__()
        self.backbone, self.head, self.deltas = classifier.backbone, classifier.head, deltas

    def forward(self, cepstra: Tensor, lengths: Tensor) -> Tensor:
        """Classify padded utterances.

        Args:
            cepstra: (batch, frames, 13), float32, normalised or not.
            lengths: real frames of each utterance, (batch,), int64, each at least 1.

        Returns:
            (batch, frames, classes), natural logarithms; what stands in padding means nothing.
        """
        labels = torch.zeros_like(cepstra[..., 0], dtype=torch.int64)
        batch = Batch(cepstra, labels, lengths, utterances=lengths, num_frames=0)
        features = prepare(batch, self.deltas).features
        logits: Tensor = self.head(self.backbone(features, lengths))
        return logits.log_softmax(-1)


def write_onnx(net: FromCepstra, coefficients: int, path: Path) -> None:
    """Write a net as one .onnx file.

    Args:
        net: in evaluation mode, on the CPU; it stays as it is.
        coefficients: cepstra a frame.
        path: the file.
    """
    net = deepcopy(net)
    use_onnx_recurrence(net)
    utterances, frames = EXAMPLE
    cepstra = torch.randn(utterances, frames, coefficients)
    lengths = torch.tensor([frames, frames // 2, 1])
    batch = Dim("batch", min=1)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "# The axis name: batch")  # two inputs share that axis
        program = torch.onnx.export(
            net,
            (cepstra, lengths),
            input_names=INPUTS,
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamic_shapes={
                "cepstra": {0: batch, 1: Dim("frames", min=1)},
                "lengths": {0: batch},
            },
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(path, external_data=False)
