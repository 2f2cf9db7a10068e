"""Small libriphone folders, laid out as the course hands them out, and a store of each corpus."""

from pathlib import Path

import numpy as np
import pytest
import torch

from phoneme_lightning.corpora.libriphone import prepare_libriphone
from phoneme_lightning.corpora.spoken import prepare_spoken
from phoneme_lightning.corpora.store import FrameStore


class LibriphoneFolder:
    """A folder of synthetic utterances whose dimensions 13-38 follow from 0-12."""

    def __init__(self, root: Path, train: int = 8, test: int = 3) -> None:
        self.root = root
        draw = np.random.default_rng(0)
        self.map = draw.normal(size=(13, 26)) / 13**0.5
        self.features: dict[str, np.ndarray] = {}
        self.labels: dict[str, list[int]] = {}
        self.splits = {
            "train": [f"{10 + index % 3}-7-{index:04}" for index in range(train)],
            "test": [f"{10 + index % 3}-8-{index:04}" for index in range(test)],
        }
        for split, names in self.splits.items():
            (root / "feat" / split).mkdir(parents=True)
            for name in names:
                cepstra = draw.normal(size=(int(draw.integers(20, 50)), 13))
                cepstra = (cepstra - cepstra.mean(axis=0)) / cepstra.std(axis=0, ddof=1)
                self.features[name] = np.hstack([cepstra, cepstra @ self.map]).astype(np.float32)
                self.save(split, name, torch.from_numpy(self.features[name]))
                self.labels[name] = draw.integers(41, size=len(cepstra)).tolist()
        self.write_texts()

    def file(self, split: str, name: str) -> Path:
        return self.root / "feat" / split / f"{name}.pt"

    def save(self, split: str, name: str, content: object) -> None:
        torch.save(content, self.file(split, name))

    def write_texts(self, end: str = "") -> None:
        for split, names in self.splits.items():
            (self.root / f"{split}_split.txt").write_text("\n".join(names) + end)
        lines = [" ".join(map(str, [name, *self.labels[name]])) for name in self.splits["train"]]
        (self.root / "train_labels.txt").write_text("\n".join(lines) + end)


@pytest.fixture
def folder(tmp_path):
    return LibriphoneFolder(tmp_path / "source" / "libriphone")


@pytest.fixture(scope="session")
def libriphone_store(tmp_path_factory):
    root = tmp_path_factory.mktemp("libriphone")
    folder = LibriphoneFolder(root / "source", train=16, test=4)
    return FrameStore(prepare_libriphone(folder.root, root / "store", strict=True))


@pytest.fixture(scope="session")
def spoken_store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken")
    return FrameStore(prepare_spoken(folder / "store", minutes=3, workers=2))
