"""A classifier from a checkpoint alone, without the command line that made it."""

import inspect
from pathlib import Path
from pydoc import locate
from typing import Any, cast

import torch
from jsonargparse import ArgumentParser

from phoneme_lightning.data.module import input_features
from phoneme_lightning.errors import InputError
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.record import read_record

__all__ = ["build_classifier", "check_hears_recordings", "load_classifier"]


def load_classifier(checkpoint: str | Path) -> tuple[PhonemeClassifier, dict[str, Any]]:
    """Build the classifier of a checkpoint, with its weights, ready to predict.

    Args:
        checkpoint: a .ckpt file of a fit.

    Returns:
        The classifier, in evaluation mode on the CPU, and the config of its fit.

    Raises:
        InputError: the file is missing or is no checkpoint of ours.
    """
    config = read_record(checkpoint)["config"]
    settings = config["model"]
    backbone = settings["backbone"]
    kind = cast(type, locate(backbone["class_path"]))
    if "num_features" in inspect.signature(kind).parameters:
        arguments = backbone.setdefault("init_args", {})
        arguments["num_features"] = input_features(config["data"]["deltas"])
    classifier = build_classifier(settings)
    weights = torch.load(checkpoint, weights_only=True, map_location="cpu")["state_dict"]
    classifier.load_state_dict(weights)
    return classifier.eval(), config


def check_hears_recordings(checkpoint: str, config: dict[str, Any]) -> None:
    """Refuse a net whose input cannot be made from sound alone.

    Args:
        checkpoint: of the net.
        config: of its fit.

    Raises:
        InputError: it was fitted with deltas from its corpus's tables.
    """
    if config["data"]["deltas"] == "file":
        raise InputError(
            f"{checkpoint} was fitted with data.deltas 'file': what its corpus holds, no "
            "recording does; fit with data.deltas 'temporal'"
        )


def build_classifier(settings: dict[str, Any]) -> PhonemeClassifier:
    """Build a classifier with new weights from the `model` of a config."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PhonemeClassifier, "model")
    built = parser.instantiate(parser.parse_object({"model": settings}))
    classifier: PhonemeClassifier = built.model
    return classifier
