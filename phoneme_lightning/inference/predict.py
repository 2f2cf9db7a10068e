"""The classes of one utterance of a store, by the weights of a checkpoint."""

from pathlib import Path

import numpy as np
import torch

from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.module import prepare
from phoneme_lightning.inference.load import load_classifier
from phoneme_lightning.training.inventory import check_phones
from phoneme_lightning.training.record import read_record

__all__ = ["predict_utterance"]


def predict_utterance(checkpoint: str | Path, store: FrameStore, position: int) -> np.ndarray:
    """Classify the frames of one utterance, in fp32 on the CPU.

    Args:
        checkpoint: a .ckpt file of a fit.
        store: where the utterance is.
        position: which it is.

    Returns:
        (frames,), uint8, classes.

    Raises:
        InputError: the checkpoint is of other phones.
    """
    check_phones(read_record(checkpoint)["phones"], store)
    classifier, config = load_classifier(checkpoint)
    deltas = config["data"]["deltas"]
    batch = Frames(store).gather(np.array([position]), delta_maps=deltas == "file")
    with torch.inference_mode():
        logits: torch.Tensor = classifier(prepare(batch, deltas))
    classes: np.ndarray = logits[0].argmax(-1).to(torch.uint8).numpy()
    return classes
