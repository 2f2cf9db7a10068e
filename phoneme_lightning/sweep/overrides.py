"""What a trial lays over the base configs: the whole of its overrides.yaml."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.arms import arms, holds
from phoneme_lightning.sweep.classes import defaults_of
from phoneme_lightning.sweep.design_file import Row
from phoneme_lightning.sweep.expressions import calculate, parse
from phoneme_lightning.sweep.keys import flatten, nested
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.yaml12 import load_yaml

__all__ = ["base_settings", "flatten", "leaves", "nested", "overrides"]

CLASS = re.compile(r"[A-Za-z_]\w*(\.\w+)*\.[A-Z]\w*")


def base_settings(files: Sequence[str | Path]) -> dict[str, Any]:
    """Give what config files say together, nested; further down wins.

    Raises:
        InputError: one is missing, or is no YAML.
    """
    flat: dict[str, Any] = {}
    for file in files:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"base is {str(file)!r}, which cannot be read: {error}") from error
        flat |= flatten(load_yaml(text, str(file)) or {})
    return nested(flat)


def overrides(round: Round, row: Row, base: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give the keys of phoneme-cli that a trial sets, nested.

    The round's overrides give way to its training length, this to the fixed hyperparameters, and
    these to the scientific, nuisance and derived ones. An arm or a choice with a class_path is
    whole: its init_args are the class's own defaults but for those that the round sets, and those
    that its scientific key inherits from the base configs and overrides. The same goes for an
    override or fixed key whose class is another than the base's.

    Args:
        round: the round.
        row: the trial.
        base: what the base configs give, nested; read from the round's files where it is missing.

    Returns:
        All but the run's folder and what W&B is told.

    Raises:
        InputError: the round has no such arm, a class is not there, a key stands inside one that
            has a value, or a derived key cannot be calculated.
    """
    arm = next((one for one in arms(round) if one.name == row.arm), None)
    if arm is None:
        raise InputError(f"{row.trial} is of arm {row.arm!r}, and {round.name} has no such arm")
    parts = [part for part in round.conditional if holds(part, arm, row.values)]
    drawn = {key: value for key, value in row.values.items() if key not in arm.values}
    known = flatten(base_settings(round.base) if base is None else base)
    over, fixed = leaves(round.overrides, known), leaves(round.fixed, known)
    for part in parts:
        fixed |= leaves(part.fixed, known)
    keys = {key: one for key, one in drawn.items() if "." in key}
    searched = leaves({**arm.settings, **keys}, known)
    chosen = {**_training(round), **fixed, **searched}
    templates = dict(round.derived)
    for part in parts:
        templates |= part.derived
    settings = dict(over)
    for key in _classes(over):
        if over[key] != known.get(key):
            settings = _complete(settings, key, {**over, **chosen, **templates}, {})
    inheritable = {**known, **settings}
    settings |= chosen
    for key in _classes(chosen):
        if key in searched or chosen[key] != inheritable.get(key):
            kept = _inherited(round, key, inheritable)
            settings = _complete(settings, key, {**chosen, **templates}, kept)
    names = {**settings, **{key: value for key, value in drawn.items() if "." not in key}}
    for key, template in templates.items():
        settings[key] = names[key] = _derive(key, template, names)
    _check_nesting(settings)
    return nested({**settings, "seed_everything": row.seed})


def leaves(settings: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings by dotted key; a class that stands alone stands under its class_path.

    Args:
        settings: nested, or dotted.
        base: what the base configs say, by dotted key: where they have a class, a text is one.
    """

    def is_class(key: str, value: Any) -> bool:
        if not isinstance(value, str) or key.endswith(".class_path"):
            return False
        return f"{key}.class_path" in base or CLASS.fullmatch(value) is not None

    return {
        f"{key}.class_path" if is_class(key, value) else key: value
        for key, value in flatten(settings).items()
    }


def _check_nesting(settings: Mapping[str, Any]) -> None:
    """Refuse a key inside one that has a value: it would take the value's place."""
    for key in settings:
        parts = key.split(".")
        for above in (".".join(parts[:count]) for count in range(1, len(parts))):
            if not isinstance(settings.get(above, {}), Mapping):
                raise InputError(
                    f"{above} is {settings[above]!r}, and {key} is set as well: leave one out; a "
                    "class is written with its whole path, such as torch.optim.SGD"
                )


def _classes(settings: Mapping[str, Any]) -> list[str]:
    return [key for key in settings if key.endswith(".class_path")]


def _training(round: Round) -> dict[str, Any]:
    """Give the settings that a round has keys of its own for."""
    return {
        "trainer.max_steps": round.training.steps,
        "trainer.val_check_interval": round.training.evaluate_every,
        "run.keep_best": round.training.keep,
        **{f"divergence.{key}": value for key, value in asdict(round.divergence).items()},
    }


def _inherited(round: Round, class_key: str, base: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a class keeps from the base configs and overrides, by key.

    Raises:
        InputError: they do not say what is to be kept.
    """
    prefix = class_key.removesuffix(".class_path")
    kept = {}
    for key, scientific in round.scientific.items():
        for name in scientific.inherit:
            if not any(one.endswith(f".init_args.{name}") for one in base):
                raise InputError(
                    f"scientific.{key}.inherit has {name}, which no base config or override gives: "
                    "correct it, or leave it out"
                )
            whole = f"{prefix}.init_args.{name}"
            if (key in (prefix, class_key) or "." not in key) and whole in base:
                kept[whole] = base[whole]
    return kept


def _complete(
    settings: Mapping[str, Any], key: str, given: Mapping[str, Any], kept: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the init_args of a class whole: what is not given or kept is the class's own default.

    What is not written, phoneme-cli would take from the base config's class where it fits.

    Args:
        settings: all, by dotted key.
        key: of the class_path.
        given: what the round itself sets, by dotted key.
        kept: what is kept from the base configs.
    """
    prefix = key.removesuffix("class_path") + "init_args."
    if not isinstance(settings[key], str):
        raise InputError(f"{key} is {settings[key]!r}: write a whole path, such as torch.optim.SGD")
    try:
        defaults, needed = defaults_of(settings[key])
    except InputError as error:
        raise InputError(f"{key.removesuffix('class_path')}{error}") from error
    set_here = {one.removeprefix(prefix).split(".")[0] for one in given if one.startswith(prefix)}
    whole = {
        one: value for one, value in settings.items() if not one.startswith(prefix) or one in given
    }
    for name, default in defaults.items():
        if name not in set_here:
            whole[prefix + name] = kept.get(prefix + name, default)
    for name in sorted(needed - set_here):
        if prefix + name not in kept:
            raise InputError(f"{prefix}{name} is missing: {settings[key]} has no default for it")
        whole[prefix + name] = kept[prefix + name]
    return whole


def _derive(key: str, template: Any, names: Mapping[str, Any]) -> Any:
    """Calculate a derived value: strings are expressions, in lists and mappings as well.

    Raises:
        InputError: one cannot be calculated.
    """
    if isinstance(template, str):
        try:
            return calculate(parse(template), names)
        except InputError as error:
            raise InputError(f"derived.{key}: {error}") from error
    if isinstance(template, list):
        return [_derive(key, one, names) for one in template]
    if isinstance(template, Mapping):
        return {name: _derive(f"{key}.{name}", one, names) for name, one in template.items()}
    return template
