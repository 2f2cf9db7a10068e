"""How frames become batches elsewhere: the course's way, and padded utterances in a DataLoader."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, TensorDataset

from phoneme_lightning.phones import IGNORE_LABEL

__all__ = ["course_loader", "padded_loader", "write_files"]

CONTEXT = 21
"""Frames that the course sets side by side: ten before, ten after."""


def write_files(folder: Path, utterances: list[tuple[np.ndarray, np.ndarray]]) -> list[Path]:
    """Write a .pt file of (frames, 39) for each utterance, as libriphone comes."""
    files = [folder / f"{number}.pt" for number in range(len(utterances))]
    for file, (features, _) in zip(files, utterances, strict=True):
        torch.save(torch.from_numpy(np.tile(features, 3)), file)
    return files


def _shifted(features: Tensor, by: int) -> Tensor:
    """Move frames by some places, repeating the first or the last."""
    if by < 0:
        return torch.cat([features[:1].repeat(-by, 1), features[:by]])
    return torch.cat([features[by:], features[-1:].repeat(by, 1)])


def course_loader(files: list[Path], labels: list[np.ndarray]) -> DataLoader[tuple[Tensor, ...]]:
    """Load each file, set 21 frames side by side, and make every frame an example, 512 a batch."""
    reach = CONTEXT // 2
    total = sum(map(len, labels))
    examples = torch.empty(total, CONTEXT * torch.load(files[0]).shape[1])
    begin = 0
    for file in files:
        features = torch.load(file)
        wide = torch.cat([_shifted(features, by) for by in range(-reach, reach + 1)], dim=1)
        examples[begin : begin + len(wide)] = wide
        begin += len(wide)
    targets = torch.from_numpy(np.concatenate(labels).astype(np.int64))
    return DataLoader(TensorDataset(examples, targets), batch_size=512, shuffle=True)


def _pad(utterances: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    features, labels = zip(*utterances, strict=True)
    lengths = torch.tensor([len(row) for row in labels])
    return (
        pad_sequence(features, batch_first=True),
        pad_sequence(labels, batch_first=True, padding_value=IGNORE_LABEL),
        lengths,
    )


def padded_loader(
    files: list[Path], labels: list[np.ndarray], workers: int
) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
    """Hold each utterance as a tensor, and pad 32 of them at a time, shuffled."""
    utterances = [
        (torch.load(file), torch.from_numpy(row.astype(np.int64)))
        for file, row in zip(files, labels, strict=True)
    ]
    return DataLoader(
        utterances,  # type: ignore[arg-type]
        batch_size=32,
        shuffle=True,
        collate_fn=_pad,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
