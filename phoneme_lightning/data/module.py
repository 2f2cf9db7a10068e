"""The LightningDataModule: opens the corpus, makes the loaders, prepares batches on the device."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from phoneme_lightning.batch import Batch
from phoneme_lightning.corpora.choose import choose_store
from phoneme_lightning.corpora.store import SPLITS, FrameStore
from phoneme_lightning.data.augment import (
    Augmentation,
    add_noise,
    mask_coefficients,
    mask_time,
    time_stretch,
)
from phoneme_lightning.data.deltas import Deltas, normalise, with_deltas
from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.loader import BatchLoader
from phoneme_lightning.data.sampler import BucketSampler, seed_of
from phoneme_lightning.errors import InputError

__all__ = ["PhonemeDataModule", "input_features", "prepare"]

EVALUATION_FRAMES_PER_BATCH = 16_000
"""Real frames a batch where nothing is trained, at least: more was no faster on a CPU."""
EVALUATION_FRAMES_PER_BATCH_ON_GPU = 64_000

AUGMENTATION = 1
"""Keeps the noise of the augmentation apart from dropout's at the same step."""


def input_features(deltas: Deltas, coefficients: int = 13) -> int:
    """Give how many numbers a frame the backbone gets under a setting of `data.deltas`."""
    return coefficients if deltas == "none" else 3 * coefficients


class PhonemeDataModule(LightningDataModule):
    """A frame store as batches of about equally many frames.

    Args:
        corpus: "auto" takes the prepared libriphone in `root` where there is one, else the
            built-in spoken corpus, made on first use; a name takes the store of that name in
            `root`; a path takes the store there.
        root: folder in which `phoneme-data prepare` puts frame stores.
        split: how validation is set aside: "utterance" (speakers of train) or "speaker" (new ones).
        train_share: share of the training utterances that is used, the same ones under every seed:
            a quarter of the corpus in a quarter of the time shows what a whole fit gains from.
        frames_per_batch: real frames a training batch, about.
        deltas: what stands beside the cepstra: "temporal" derivatives, the "file"'s own, or "none".
        augment: changes to training batches; never made in validation and test.
        seed: of the order of batches and of the augmentation.
    """

    def __init__(
        self,
        *,
        corpus: str = "auto",
        root: str = "data",
        split: Literal["utterance", "speaker"] = "utterance",
        train_share: float = 1.0,
        frames_per_batch: int = 8_000,
        deltas: Deltas = "temporal",
        augment: Augmentation = Augmentation(),  # noqa: B008 (frozen)
        seed: int = 0,
    ) -> None:
        super().__init__()
        if frames_per_batch < 1:
            raise InputError(f"data.frames_per_batch is {frames_per_batch}: give at least 1")
        if not 0 < train_share <= 1:
            raise InputError(f"data.train_share is {train_share}: give above 0 up to 1 (all)")
        if seed < 0:
            raise InputError(f"seed_everything is {seed}: give 0 or more")
        self.corpus, self.root = corpus, Path(root)
        self.split: str = split
        self.train_share = train_share
        self.frames_per_batch, self.deltas, self.augment, self.seed = (
            frames_per_batch,
            deltas,
            augment,
            seed,
        )
        self._store: FrameStore | None = None
        self._frames: Frames | None = None
        self._train: BatchLoader | None = None
        self._resume: dict[str, int] | None = None

    @property
    def store(self) -> FrameStore:
        """The frame store, opened on first use."""
        if self._store is None:
            self._store = FrameStore(choose_store(self.corpus, self.root))
            if self.deltas == "file" and self._store.delta_maps is None:
                raise InputError(
                    f"data.deltas is 'file', but {self._store.path} holds no deltas of its own: "
                    "use temporal"
                )
        return self._store

    @property
    def frames(self) -> Frames:
        """The store's frames, where the trainer's device gets batches fastest: see its `place`."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if self._frames is None or self._frames.wanted_on != device:
            self._frames = Frames(self.store, device)
        return self._frames

    @property
    def resolved_corpus(self) -> str:
        """What `corpus` became: a name under `root`, or else the store's path."""
        path = self.store.path
        inside = path.is_relative_to(self.root)
        return str(path.relative_to(self.root) if inside else path)

    @property
    def description(self) -> str:
        """One line on the corpus: where it is, how much it holds, how it is split."""
        frames = {name: int(self.store.lengths[self._positions(name)].sum()) for name in SPLITS}
        shares = ", ".join(f"{name} {count:,}" for name, count in frames.items())
        return f"{self.store.corpus} at {self.store.path}, frames by {self.split}: {shares}"

    def _positions(self, name: str) -> np.ndarray:
        positions = self.store.split(self.split, name)
        if name == "train" and self.train_share < 1:
            count = max(1, round(self.train_share * len(positions)))
            positions = np.sort(np.random.default_rng(0).permutation(positions)[:count])
        return positions

    def positions(self, name: str) -> np.ndarray:
        """Give the positions in the store of a split's utterances: train, validation or test.

        Of train only the `train_share`; a larger share holds all of a smaller one.

        Raises:
            InputError: there are none.
        """
        positions = self._positions(name)
        if len(positions) == 0:
            raise InputError(
                f"the {name} split of {self.store.path} (data.split: {self.split}) is empty"
            )
        return positions

    @property
    def test_has_labels(self) -> bool:
        """Whether the test split can be scored."""
        return self.store.has_labels(self.positions("test"))

    def _loader(self, name: str, *, shuffle: bool = False) -> BatchLoader:
        positions, frames = self.positions(name), self.frames
        trainer = self.trainer
        on_gpu = frames.wanted_on.type == "cuda"
        at_least = EVALUATION_FRAMES_PER_BATCH_ON_GPU if on_gpu else EVALUATION_FRAMES_PER_BATCH
        sampler = BucketSampler(
            self.store.lengths[positions],
            self.frames_per_batch if shuffle else max(self.frames_per_batch, at_least),
            shuffle=shuffle,
            seed=self.seed,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
        return BatchLoader(frames, positions, sampler, delta_maps=self.deltas == "file")

    def train_dataloader(self) -> BatchLoader:
        """Give the training batches, in a new order each epoch; after a resume, those left."""
        self._train = self._loader("train", shuffle=True)
        if self._resume:
            self._train.load_state_dict(self._resume)
        return self._train

    def state_dict(self) -> dict[str, Any]:
        """Give how far the epoch has come.

        Lightning keeps the loader's state as well, but drops it in a fit by epochs, where it
        asks for the loader before it restores that state.
        """
        return {"train": self._train.state_dict()} if self._train else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._resume = state_dict.get("train")

    def val_dataloader(self) -> BatchLoader:
        """Give the validation batches."""
        return self._loader("validation")

    def test_dataloader(self) -> BatchLoader:
        """Give the test batches; their labels are IGNORE_LABEL where the corpus keeps them back."""
        return self._loader("test")

    def predict_dataloader(self) -> BatchLoader:
        """Give the test batches, to be predicted."""
        return self._loader("test")

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Make the backbone's input on the device; augment it in training.

        The noise comes from (seed, batches so far, rank), so that a resumed fit draws the same.
        """
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return prepare(batch, self.deltas)
        generator = torch.Generator(batch.features.device)
        step = trainer.fit_loop.total_batch_idx + 1
        generator.manual_seed(seed_of(self.seed, step, trainer.global_rank, AUGMENTATION))
        return prepare(batch, self.deltas, self.augment, generator)


def prepare(
    batch: Batch,
    deltas: Deltas,
    augment: Augmentation | None = None,
    generator: torch.Generator | None = None,
) -> Batch:
    """Turn stored coefficients into the backbone's input.

    The order is: time stretch, noise, deltas, renormalise, masks.

    Args:
        batch: features (batch, frames, 13).
        deltas: what to put beside the cepstra.
        augment: what to change, in training; None changes nothing.
        generator: of the noise, on the batch's device, with a seed of its own for each batch: the
            factors of the stretch are drawn by that seed on the host. Needed with `augment`.

    Returns:
        features (batch, frames, 39), or 13 of them with deltas "none".
    """
    if augment is None or generator is None:
        return normalise(with_deltas(batch, deltas))
    host = generator
    if generator.device.type != "cpu":
        host = torch.Generator().manual_seed(generator.initial_seed())
    batch = time_stretch(batch, augment.stretch, host)
    batch = add_noise(batch, augment.noise, generator)
    batch = normalise(with_deltas(batch, deltas))
    batch = mask_time(batch, augment.time_masks, augment.time_mask_frames, generator)
    return mask_coefficients(
        batch, augment.coefficient_masks, augment.coefficient_mask_width, generator
    )
