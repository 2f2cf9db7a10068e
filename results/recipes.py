"""What each kept model was set to: its net in a line, and a table of how trainings differ."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from phoneme_lightning.sweep.decisions.settings import training_settings
from phoneme_lightning.sweep.leaderboard import short_names

__all__ = ["recipes"]

NET = "model.backbone."
NOT_OF_TRAINING = (
    *("trainer.accelerator", "trainer.devices", "trainer.precision"),
    "trainer.val_check_interval",
)


def recipes(names: Iterable[str], kept: Path, title: Callable[[str], str]) -> list[str]:
    """Give a line a net and a table of the settings in which their trainings differ.

    A setting that an older fit does not name was not there yet, and is what it is by default now.

    Args:
        names: of the models, in order; what was not trained is left out.
        kept: folder of all models.
        title: says what a model is.
    """
    settings = {
        name: training_settings(yaml.safe_load(file.read_text("utf-8")))
        for name in names
        if (file := next((kept / name).glob("s*/config.yaml"), None))
    }
    if not settings:
        return ["None is kept yet."]
    lines = [f"- {title(name)}: {_net(of_net)}" for name, of_net in settings.items()]
    keys = dict.fromkeys(key for one in settings.values() for key in one)
    apart = [
        key
        for key in keys
        if not key.startswith((NET, *NOT_OF_TRAINING))
        and len({_shown(one[key]) for one in settings.values() if key in one}) > 1
    ]
    if not apart:
        return lines
    lines += ["", f"| setting | {' | '.join(map(title, settings))} |"]
    lines.append(f"|{'---|' * (1 + len(settings))}")
    short = short_names(apart)
    for key in apart:
        values = (_shown(one.get(key)) for one in settings.values())
        label = "optimizer" if key == "model.optimizer.class_path" else short[key]
        lines.append(f"| {label} | {' | '.join(values)} |")
    return lines


def _net(settings: dict[str, Any]) -> str:
    given = {
        key.removeprefix(f"{NET}init_args."): value
        for key, value in settings.items()
        if key.startswith(f"{NET}init_args.") and value is not None
    }
    kind = settings[f"{NET}class_path"].rpartition(".")[2]
    return f"`{kind}`, {', '.join(f'{key} {_shown(value)}' for key, value in given.items())}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value).removeprefix("torch.optim.")
