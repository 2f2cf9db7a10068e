"""What a trial was set to, in full: as phoneme-cli reads its configs and overrides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phoneme_lightning.sweep.check import resolve
from phoneme_lightning.sweep.design_file import Row
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.overrides import base_settings, overrides
from phoneme_lightning.sweep.records import TrialRecord
from phoneme_lightning.sweep.round import Round

__all__ = ["differing", "extra", "settings_of", "training_settings", "whole_config"]

SECTIONS = ("model.", "data.", "trainer.")
OF_THE_PLACE = ("data.corpus", "data.root")
ABSENT = (None, 0, False, "")


def whole_config(configs: Sequence[Path], round: Round, record: TrialRecord) -> dict[str, Any]:
    """Give the whole config of a trial, nested, as `phoneme-cli fit` would run it.

    Args:
        configs: its base configs.
        round: what its round is.
        record: the trial.
    """
    row = Row(record.trial, record.arm, record.point, record.seed, dict(record.values))
    return resolve(configs, overrides(round, row, base_settings(configs)))


def settings_of(folder: RoundFolder, round: Round, record: TrialRecord) -> dict[str, Any]:
    """Give what a trial was trained with, by dotted key, but for its seed and its place."""
    return training_settings(whole_config(folder.base_configs(), round, record))


def training_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give of a whole config what training depends on, by dotted key."""
    return {
        key: value
        for key, value in flatten(config).items()
        if key.startswith(SECTIONS) and key not in OF_THE_PLACE
    }


def differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Give the settings in which two differ, and both values; None where one has no such key."""
    keys = [*ours, *(key for key in theirs if key not in ours)]
    pairs = {key: (ours.get(key), theirs.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def extra(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Give the hyperparameters that we must set and they leave at 0, off or out."""
    return [
        key
        for key, (mine, other) in differing(ours, theirs).items()
        if other in ABSENT and mine not in ABSENT
    ]
