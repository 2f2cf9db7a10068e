"""Every config is whole, commented, understood by the command line, and trains."""

import inspect
import math
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from phoneme_lightning import models
from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.data.augment import Augmentation
from phoneme_lightning.data.module import PhonemeDataModule
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.curves import read_metrics

CONFIGS = Path(__file__).parents[1] / "configs"
BACKBONES = {
    "rnn": "RNN",
    "crnn": "CRNN",
    "cnn": "CNN",
    "transformer": "Transformer",
    "conformer": "Conformer",
}
OVERLAYS = sorted(CONFIGS.glob("*/*.yaml"))

# What makes each backbone a matter of milliseconds.
TINY = {
    "rnn": {"hidden_size": 4},
    "crnn": {"width": 2, "blocks": "[1,1,1,1]", "hidden_size": 4},
    "cnn": {"dim": 8, "num_blocks": 2},
    "transformer": {"dim": 8, "num_layers": 1, "num_heads": 2, "feed_forward": 8},
    "conformer": {"dim": 8, "num_layers": 1, "num_heads": 2, "feed_forward": 8, "kernel_size": 5},
}


def leaves(config, above=""):
    """Give the settings of a nested config under dotted keys."""
    found = {}
    for key, value in config.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{above}{key}.")
        else:
            found[above + key] = list(value) if isinstance(value, tuple) else value
    return found


def settings_of(path):
    return leaves(yaml.safe_load(path.read_text("utf-8")))


def suits(overlay, name):
    """Tell whether an overlay is for a backbone: the demo's sets what only the CRNN has."""
    return name == "crnn" or overlay.stem != "demo"


def whole(name):
    return CONFIGS / f"{name}.yaml"


@pytest.fixture(scope="module")
def parse():
    """Give what turns config files into the command line's settings, under dotted keys."""

    class Parser(PhonemeCLI):
        def instantiate_classes(self):
            pass

        def _run_subcommand(self, subcommand):
            pass

    parser = Parser(["fit"]).parser

    def parse(*paths):
        words = ["fit", *(word for path in paths for word in ("--config", str(path)))]
        parsed = parser.parse_args(words)["fit"]
        parsed.pop("config")
        return leaves(parsed.as_dict())

    return parse


def test_every_backbone_has_a_config():
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == BACKBONES.keys()
    assert set(BACKBONES.values()) == set(models.__all__) - {"Backbone"}


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_key_has_a_comment_and_comments_stand_in_a_column(path):
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].startswith("# ")
    rows = [re.fullmatch(r" *[\w-]+:(?: (\S.*?))?(?:  +(# .+))?", line) for line in lines[1:]]
    assert all(rows)
    uncommented = [row[0] for row in rows if row[1] and not row[2]]
    assert not uncommented
    assert len({row.start(2) for row in rows if row[2]}) == 1


@pytest.mark.parametrize("name", BACKBONES)
def test_a_whole_config_names_all_that_can_be_set(name):
    def parameters(of, but):
        return set(inspect.signature(of).parameters) - but

    settings = settings_of(whole(name))
    backbone = getattr(models, BACKBONES[name])
    expected = {
        "seed_everything",
        "run.name",
        "model.backbone.class_path",
        "model.optimizer.class_path",
        "model.optimizer.init_args.lr",
        "model.optimizer.init_args.weight_decay",
        "trainer.precision",
        "trainer.max_steps",
        "trainer.val_check_interval",
        "trainer.gradient_clip_val",
        "wandb.mode",
        "wandb.project",
        *(f"model.backbone.init_args.{key}" for key in parameters(backbone, {"num_features"})),
        *(
            f"model.{key}"
            for key in parameters(PhonemeClassifier, {"backbone", "num_classes", "optimizer"})
        ),
        *(f"data.{key}" for key in parameters(PhonemeDataModule, {"root", "augment", "seed"})),
        *(f"data.augment.{field.name}" for field in fields(Augmentation)),
    }
    assert settings.keys() == expected
    assert settings["run.name"] == name
    assert settings["model.backbone.class_path"] == f"phoneme_lightning.models.{BACKBONES[name]}"


@pytest.mark.parametrize(
    ("name", "overlay"),
    [(name, overlay) for name in BACKBONES for overlay in OVERLAYS if suits(overlay, name)],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_an_overlay_changes_what_it_names_and_nothing_else(parse, name, overlay):
    alone = parse(whole(name))
    assert {key: alone[key] for key in settings_of(whole(name))} == settings_of(whole(name))
    assert parse(whole(name), overlay) == alone | settings_of(overlay)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_whole_config_trains(name, tiny_store, tmp_path):
    settings = {
        "data.corpus": tiny_store.path,
        "data.frames_per_batch": 100,
        "trainer.max_steps": 2,
        "trainer.log_every_n_steps": 1,
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false",
        "wandb.mode": "disabled",
        "run.folder": tmp_path / "run",
    } | {f"model.backbone.init_args.{key}": value for key, value in TINY[name].items()}
    words = [f"--{key}={value}" for key, value in settings.items()]
    assert PhonemeCLI(["fit", "--config", str(whole(name)), *words]).exit_code == 0
    losses = [row["train/loss"] for row in read_metrics(tmp_path / "run/metrics.csv")[:2]]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert (tmp_path / "run/checkpoints/best.ckpt").is_file()
