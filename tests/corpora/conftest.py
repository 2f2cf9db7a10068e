"""Small libriphone folders, laid out as the course hands them out, and a store of each corpus."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from phoneme_lightning.corpora.assemble import prepare_recordings
from phoneme_lightning.corpora.folder import folder_recipe
from phoneme_lightning.corpora.libriphone import prepare_libriphone
from phoneme_lightning.corpora.librispeech import librispeech_recipe
from phoneme_lightning.corpora.spoken import prepare_spoken
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.timit import timit_recipe

sys.path.insert(0, str(Path(__file__).parent))  # the tests here share recordings.py
from recordings import write_folder, write_librispeech, write_timit


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


@pytest.fixture(scope="session")
def timit_store(tmp_path_factory):
    root = tmp_path_factory.mktemp("timit")
    recipe = timit_recipe(write_timit(root / "source"))
    return FrameStore(prepare_recordings(recipe, root / "store", workers=1, strict=True))


@pytest.fixture(scope="session")
def librispeech_store(tmp_path_factory):
    root = tmp_path_factory.mktemp("librispeech")
    recipe = librispeech_recipe(write_librispeech(root / "source"))
    return FrameStore(prepare_recordings(recipe, root / "store", workers=1, strict=True))


@pytest.fixture(scope="session")
def folder_store(tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    source = write_folder(root / "source")
    recipe = folder_recipe(source, phones=source / "phones.yaml")
    return FrameStore(prepare_recordings(recipe, root / "store", workers=1, strict=True))
