"""phoneme-cli: fit, validate, test and predict, each from a config and dotted keys."""

import json
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import set_parsing_settings
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from phoneme_lightning.data import PhonemeDataModule
from phoneme_lightning.data.module import input_features
from phoneme_lightning.errors import InputError, run_command
from phoneme_lightning.inference.reports import (
    CollectPredictions,
    draw_fit,
    report_test,
    write_prediction,
)
from phoneme_lightning.inference.scores import append_score
from phoneme_lightning.parser import PhonemeParser
from phoneme_lightning.phones import NUM_PHONES
from phoneme_lightning.training.callbacks import (
    EndWithValidation,
    ReseedEachStep,
    StopWhenDiverged,
    Throughput,
    checkpoints,
)
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.metrics_csv import MetricsCsv
from phoneme_lightning.training.progress import Announce, FitProgress
from phoneme_lightning.training.record import WriteRecord, read_record
from phoneme_lightning.training.run import (
    RunSettings,
    log_to,
    new_run_folder,
    record_command,
    run_folder_of,
    say,
    show_on_screen,
)
from phoneme_lightning.training.trainer import PhonemeTrainer, resolve_precision
from phoneme_lightning.training.wandb_logger import WandbSettings, finish_wandb, start_wandb

__all__ = ["PhonemeCLI", "main"]

TRAINER_DEFAULTS = {
    "devices": 1,
    "max_steps": 2_000,
    "val_check_interval": 500,
    "check_val_every_n_epoch": None,
    "gradient_clip_val": 1.0,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
    "enable_autolog_hparams": False,
    "enable_model_summary": False,
}


class PhonemeCLI(LightningCLI):
    """The command line over the classifier and the data module.

    A run gets a folder; a checkpoint brings its own config, which gives way to whatever the
    person wrote, on the command line or in a config file.
    """

    def __init__(self, args: ArgsType = None) -> None:
        set_parsing_settings(docstring_parse_attribute_docstrings=True)
        self.exit_code = 0
        self.arguments = list(sys.argv[1:] if args is None else args)
        super().__init__(
            PhonemeClassifier,
            PhonemeDataModule,
            trainer_class=PhonemeTrainer,
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            save_config_callback=None,
            parser_class=PhonemeParser,
            parser_kwargs={"description": "Fit a phoneme classifier; score it; predict with it."},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=args,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the sections of the run and of W&B; tie what must agree."""
        parser.add_class_arguments(RunSettings, "run")
        parser.add_class_arguments(WandbSettings, "wandb")
        parser.add_argument(
            "--resolved",
            type=dict,
            default={},
            help="What `auto` became; written by a run, not read.",
        )
        parser.set_defaults({"model.backbone": {"class_path": "phoneme_lightning.models.CRNN"}})
        parser.link_arguments(
            "data.deltas", "model.backbone.init_args.num_features", compute_fn=input_features
        )
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    @property
    def _settings(self) -> Any:
        return self.config[self.config.subcommand]

    def _parse_ckpt_path(self) -> None:
        """Parse again with the checkpoint's config first: all that was given overrides it."""
        subcommand = self.config.subcommand
        self.checkpoint: str | None = self._settings.ckpt_path
        if self.checkpoint is None:
            if subcommand != "fit":
                raise InputError(
                    f"ckpt_path is missing: {subcommand} needs trained weights, "
                    "say --ckpt_path runs/.../checkpoints/best.ckpt"
                )
            return
        record = read_record(self.checkpoint)
        self.first_step = record["step"]
        stored = record["config"]
        stored["run"].pop("folder")
        corpus = record["resolved"]["corpus"]
        roots = (stored["data"]["root"], self._settings.data.root, ".")
        here = any((Path(root) / corpus).is_dir() for root in roots)
        stored["data"]["corpus"] = corpus if here else record.get("store", corpus)
        if subcommand != "fit":
            stored = {key: stored[key] for key in ("seed_everything", "model", "data", "trainer")}
            stored["trainer"] = {"precision": stored["trainer"]["precision"]}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({subcommand: stored}, file)
            file.flush()
            self.config = self.parser.parse_args(["--config", file.name, *self.arguments])

    def _resolved_config(self) -> dict[str, Any]:
        parser = self._parser(self.config.subcommand)
        settings = self._settings.clone()
        for key in ("config", "ckpt_path", "weights_only", "verbose", "return_predictions"):
            settings.pop(key, None)
        config: dict[str, Any] = yaml.safe_load(
            parser.dump(settings, skip_unset=False, skip_validation=True)
        )
        return config

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the run's folder, the loggers and callbacks, and the trainer."""
        options = self._get(self.config_init, "trainer")
        self.run_settings: RunSettings = self._get(self.config_init, "run")
        if options.devices == "auto":
            options.devices = 1
        self._check(options)
        precision = self.precision = resolve_precision(options.precision, options.accelerator)
        resolved = {"corpus": self.datamodule.resolved_corpus, "precision": precision}
        config = self.record = {**self._resolved_config(), "resolved": resolved}
        known = run_folder_of(self.checkpoint) if self.checkpoint else None
        if known and not self.run_settings.folder:
            self.folder = known
        else:
            self.folder = new_run_folder(self.run_settings, config)
        log_to(self.folder)
        record_command(self.folder)
        say(f"run folder: {self.folder}")
        self.collected = CollectPredictions()
        callbacks: list[Callback] = [self.collected]
        loggers: list[Any] = []
        if self.subcommand == "fit":
            text = yaml.safe_dump(config, sort_keys=False)
            (self.folder / "config.yaml").write_text(text, encoding="utf-8")
            metrics = MetricsCsv(self.folder / "metrics.csv")
            if self.checkpoint:
                metrics.cut_after(self.first_step)
            loggers = [metrics]
            said = f"{precision} (auto)" if options.precision == "auto" else precision
            callbacks += [
                Announce(self.datamodule.description, said),
                ReseedEachStep(self._get(self.config_init, "seed_everything")),
                Throughput(),
                StopWhenDiverged(),
                EndWithValidation(),
                WriteRecord(config, resolved, self.datamodule.store.path.resolve()),
                *checkpoints(str(self.folder / "checkpoints")),
            ]
            if options.enable_progress_bar is not False:
                callbacks.append(FitProgress())
        options.callbacks = [*(options.callbacks or []), *callbacks]
        given = options.logger if isinstance(options.logger, list) else [options.logger]
        loggers += [logger for logger in given if not isinstance(logger, bool | None)]
        kwargs |= {"logger": loggers or False, "default_root_dir": str(self.folder)}
        return super().instantiate_trainer(**kwargs)

    def _check(self, options: Any) -> None:
        """Refuse what would fail late or go wrong.

        Raises:
            InputError: it names the key.
        """
        if options.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
            raise InputError(
                f"trainer.accelerator is {options.accelerator!r}, but PyTorch finds no GPU here: "
                "leave it out, or give cpu"
            )
        if options.devices not in (1, "1", [0]) or options.num_nodes != 1:
            raise InputError(
                f"trainer.devices is {options.devices}: this version fits on one device, give 1"
            )
        if options.max_steps == 0:
            raise InputError(
                "trainer.max_steps is 0: give at least 1, or -1 with trainer.max_epochs"
            )
        resumed = self.subcommand == "fit" and self.checkpoint
        if resumed and 0 < options.max_steps <= self.first_step:
            raise InputError(
                f"{self.checkpoint} is at step {self.first_step}, where this fit ends: "
                f"to train on give trainer.max_steps above {self.first_step}"
            )
        if self.subcommand == "fit" and self.model.num_classes != NUM_PHONES:
            raise InputError(
                f"model.num_classes is {self.model.num_classes}, but "
                f"{self.datamodule.store.path} is labelled with {NUM_PHONES} phones: leave it out"
            )

    def fit(self, **kwargs: Any) -> None:
        """Train; draw the curves and confusions; score the test split where that was asked for."""
        best = self.folder / "checkpoints" / "best.ckpt"
        pictures: dict[str, Path] = {}
        wandb = start_wandb(
            self._get(self.config_init, "wandb"), self.folder, self.run_settings.name, self.record
        )
        if wandb:
            self.trainer.loggers = [*self.trainer.loggers, wandb]
        try:
            self.trainer.fit(
                self.model, self.datamodule, ckpt_path=self.checkpoint, weights_only=True
            )
            if best.is_file():
                pictures = draw_fit(self.folder, self.model.val_metrics)
            if self.run_settings.test_after_fit and best.is_file():
                self.trainer.loggers = []  # their rows are the fit's
                self._test(str(best))
                pictures["test/confusion"] = self.folder / "confusion.png"
        except SystemExit as error:
            # Lightning answers Ctrl-C with exit code 1, as if the fit had failed.
            raise (KeyboardInterrupt if self.trainer.interrupted else error) from None
        finally:
            finish_wandb(wandb, pictures)
            say(f"all of this run: {self.folder}")
            if best.is_file():
                last = best.with_name("last.ckpt")
                say(f"score it: phoneme-cli test --ckpt_path {shlex.quote(str(best))}")
                say(f"train on: phoneme-cli fit --ckpt_path {shlex.quote(str(last))}")
            else:
                say("no weights were saved: that comes with the first validation")

    def test(self, **kwargs: Any) -> None:
        """Score the test split where it has labels, else the validation split; predict it."""
        assert self.checkpoint is not None
        self._test(self.checkpoint)

    def predict(self, **kwargs: Any) -> None:
        """Write prediction.csv."""
        self._predict(self.checkpoint)

    def validate(self, **kwargs: Any) -> None:
        """Score the validation split."""
        self._validate(self.checkpoint)

    def _validate(self, checkpoint: str | None) -> None:
        seen = self.trainer.validate(
            self.model, self.datamodule, ckpt_path=checkpoint, weights_only=True, verbose=False
        )[0]
        draw_fit(self.folder, self.model.val_metrics)
        seen = {name: value for name, value in seen.items() if name != "step"}
        record = {"checkpoint": checkpoint, "precision": self.precision, **seen}
        text = json.dumps(record, indent=2)
        (self.folder / "validation.json").write_text(text + "\n", encoding="utf-8")
        shown = (
            f"{name.removeprefix('val/').replace('_', ' ')} {x:.4f}" for name, x in seen.items()
        )
        say("validation: " + "  ".join(shown))

    def _predict(self, checkpoint: str | None) -> None:
        self.trainer.predict(
            self.model,
            self.datamodule,
            ckpt_path=checkpoint,
            weights_only=True,
            return_predictions=False,
        )
        write_prediction(self.folder, self.datamodule, self.collected.predictions)

    def _test(self, checkpoint: str) -> None:
        if not self.datamodule.test_has_labels:
            say(
                f"the test split of {self.datamodule.store.path} has no labels: "
                "here is the validation split instead, and the prediction"
            )
            self._validate(checkpoint)
            self._predict(checkpoint)
            return
        self.trainer.test(
            self.model, self.datamodule, ckpt_path=checkpoint, weights_only=True, verbose=False
        )
        write_prediction(self.folder, self.datamodule, self.collected.predictions)
        record = report_test(
            self.folder,
            self.datamodule,
            self.collected.predictions,
            self.model.test_metrics,
            checkpoint=checkpoint,
            precision=self.precision,
        )
        append_score(record, Path(self.run_settings.root) / "scores.jsonl")
        margin = self.run_settings.beat_baselines_by
        baseline = max(record["silence_share"], record["linear_probe"])
        if margin and record["frame_accuracy"] < baseline + margin:
            say(f"that is less than {margin:.0%} above the better of the two: something is wrong")
            self.exit_code = 1


def main() -> None:
    """Run `phoneme-cli`."""
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    show_on_screen()
    run_command(_main)


def _main() -> int:
    try:
        return PhonemeCLI().exit_code
    except MisconfigurationException as error:
        raise InputError(str(error)) from error
