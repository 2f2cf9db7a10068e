"""Weights as safetensors, which hold numbers and no code, and the net that they belong to."""

import json
from pathlib import Path
from typing import Any

from phoneme_lightning.inference.load import build_classifier
from phoneme_lightning.training.classifier import PhonemeClassifier

__all__ = ["ABOUT", "WEIGHTS", "load_exported", "net_settings", "write_weights"]

ABOUT, WEIGHTS = "model.json", "model.safetensors"


def net_settings(classifier: PhonemeClassifier, config: dict[str, Any]) -> dict[str, Any]:
    """Give what builds the net, without what only training needs.

    Args:
        classifier: the net.
        config: that `load_classifier` gave beside it.
    """
    return {"backbone": config["model"]["backbone"], "num_classes": classifier.num_classes}


def write_weights(classifier: PhonemeClassifier, path: Path) -> None:
    """Write the weights of the backbone and of the linear layer on it, under PyTorch's names."""
    from safetensors.torch import save

    weights = {
        name: tensor.contiguous()
        for name, tensor in classifier.state_dict().items()
        if name.startswith(("backbone.", "head."))
    }
    # (Its `save_file` leaves a file that nobody else may read.)
    path.write_bytes(save(weights, metadata={"format": "pt"}))


def load_exported(folder: str | Path) -> PhonemeClassifier:
    """Build the classifier of an exported folder, in evaluation mode on the CPU."""
    from safetensors.torch import load_file

    about = json.loads((Path(folder) / ABOUT).read_text(encoding="utf-8"))
    classifier = build_classifier(about["net"])
    classifier.load_state_dict(load_file(Path(folder) / WEIGHTS))
    return classifier.eval()
