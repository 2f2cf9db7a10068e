"""phoneme-cli: fit, validate, test and predict, each from a config and dotted keys."""

import os
import re
import sys
import time
from inspect import getdoc
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import set_parsing_settings
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from phoneme_lightning.data import PhonemeDataModule
from phoneme_lightning.data.module import input_features
from phoneme_lightning.errors import InputError, run_command
from phoneme_lightning.inference.evaluation import Evaluation
from phoneme_lightning.inference.reports import CollectPredictions, report_fit
from phoneme_lightning.inference.scores import keep_score
from phoneme_lightning.models.cost import count_parameters
from phoneme_lightning.parser import PhonemeParser, named_checkpoint, parse_over
from phoneme_lightning.training.callbacks import StopWhenAsked
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.divergence import DivergenceSettings
from phoneme_lightning.training.environment import git_state, write_environment
from phoneme_lightning.training.fit_callbacks import fit_callbacks
from phoneme_lightning.training.inventory import take_phones, tie_phones
from phoneme_lightning.training.metrics_csv import MetricsCsv
from phoneme_lightning.training.outcome import (
    Outcome,
    check_steps,
    forget_outcome,
    record_failure,
    write_outcome,
)
from phoneme_lightning.training.ranks import find_ranks, is_supervised, leave_if_alone
from phoneme_lightning.training.record import find_corpus, read_record
from phoneme_lightning.training.run import (
    TERMINATED,
    RunSettings,
    exit_on_sigterm,
    is_run,
    known_folder,
    log_to,
    new_run_folder,
    record_command,
    say,
    say_what_is_next,
    show_on_screen,
)
from phoneme_lightning.training.run_ranks import run_ranks
from phoneme_lightning.training.trainer import (
    TRAINER_DEFAULTS,
    PhonemeTrainer,
    check_options,
    resolve_precision,
)
from phoneme_lightning.training.wandb_logger import WandbSettings, finish_wandb, start_wandb

__all__ = ["PhonemeCLI", "main", "run"]


class PhonemeCLI(LightningCLI):
    """The command line over the classifier and the data module.

    A run gets a folder; a checkpoint brings its own config, which gives way to whatever the
    person wrote, on the command line or in a config file.
    """

    def __init__(self, args: ArgsType = None) -> None:
        self.start, self.exit_code = time.perf_counter(), 0
        self.arguments = list(sys.argv[1:] if args is None else args)
        # To find the texts that help shows takes time.
        texts = any(re.search(r"^-h$|help|comments", word) for word in self.arguments)
        set_parsing_settings(docstring_parse_attribute_docstrings=texts)
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

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        """Leave the parsers of other subcommands empty: each takes a tenth of a second."""
        first = next(iter(self.arguments), None)
        if first in self.subcommands() and first != subcommand:
            return self.init_parser(**kwargs)
        kwargs["description"] = getdoc(getattr(self, subcommand))
        return super()._prepare_subcommand_parser(klass, subcommand, **kwargs)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the sections of the run, of divergence and of W&B; tie what must agree."""
        parser.add_class_arguments(RunSettings, "run")
        parser.add_class_arguments(DivergenceSettings, "divergence")
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

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse over the config of a checkpoint, whose classes say which keys there are."""
        asked = next((word for word in self.arguments if word in self.subcommands()), "")
        checkpoint = named_checkpoint(self.arguments)
        if asked and checkpoint and Path(checkpoint).is_file():
            self.config = parse_over(parser, read_record(checkpoint), asked, self.arguments)
            return
        try:
            super().parse_arguments(parser, args)
        except InputError:
            if checkpoint:
                read_record(checkpoint)  # says that it is missing, which may be all that is wrong
            raise

    def _parse_ckpt_path(self) -> None:
        """Parse again with the checkpoint's corpus, and with its config if a file named it."""
        subcommand = self.config.subcommand
        self.checkpoint: str | None = self._settings.ckpt_path
        self.phones: list[str] | None = None
        if self.checkpoint is None:
            if subcommand != "fit":
                raise InputError(
                    f"ckpt_path is missing: {subcommand} needs trained weights, "
                    "say --ckpt_path runs/.../checkpoints/best.ckpt"
                )
            return
        record = read_record(self.checkpoint)
        self.phones, self.first_step = record["phones"], record["step"]
        stored = record["config"]["data"]
        stored["corpus"] = find_corpus(record, stored["root"], self._settings.data.root)
        self.config = parse_over(self.parser, record, subcommand, self.arguments)

    def _resolved_config(self) -> dict[str, Any]:
        settings = self._settings.clone()
        for key in ("config", "ckpt_path", "weights_only", "verbose", "return_predictions"):
            settings.pop(key, None)
        text = self._parser(self.subcommand).dump(settings, skip_unset=False, skip_validation=True)
        return dict(yaml.safe_load(text))

    def instantiate_classes(self) -> None:
        """Build everything; a new fit that cannot be built says so in the folder it was given."""
        given = self._settings.run.folder
        is_new = self.subcommand == "fit" and not self.checkpoint and given and not is_run(given)
        if not is_new or is_supervised():  # that is, built once before, where it was checked
            return self._instantiate_classes()
        Path(given).mkdir(parents=True, exist_ok=True)
        forget_outcome(given)
        with record_failure(Path(given), lambda: {"seconds": time.perf_counter() - self.start}):
            self._instantiate_classes()

    def _instantiate_classes(self) -> None:
        take_phones(self._settings)
        super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the run's folder, the loggers and callbacks, and the trainer."""
        options = self._get(self.config_init, "trainer")
        self.run_settings: RunSettings = self._get(self.config_init, "run")
        check_options(options)
        known = known_folder(self.checkpoint, self.run_settings.folder)
        if self.subcommand == "fit" and self.checkpoint:
            check_steps(self.checkpoint, self.first_step, options.max_steps, known)
        self.ranks = find_ranks(options)
        tie_phones(self.model, self.datamodule.store, self.phones)
        precision = self.precision = resolve_precision(options.precision, options.accelerator)
        resolved = {"corpus": self.datamodule.resolved_corpus, "precision": precision}
        config = self.record = {**self._resolved_config(), "resolved": resolved}
        self.folder = (
            known
            or self.ranks.folder(self.run_settings.folder)
            or new_run_folder(self.run_settings, config)
        )
        if self.ranks.here:
            raise SystemExit(run_ranks(self.ranks, self.arguments, self.folder))
        if self.ranks.rank == 0:
            log_to(self.folder)
            self.git = git_state()
            record_command(self.folder, str(self.git or "not in a git checkout"))
        say(f"run folder: {self.folder}")
        self.collected = CollectPredictions()
        callbacks: list[Callback] = [self.collected, *self.ranks.callbacks]
        loggers = self._loggers(config) if self.subcommand == "fit" and self.ranks.rank == 0 else []
        if self.subcommand == "fit":
            self.stop = StopWhenAsked(self.folder)
            callbacks += fit_callbacks(
                self.folder,
                config,
                self.datamodule,
                seed=self._get(self.config_init, "seed_everything"),
                divergence=self._get(self.config_init, "divergence"),
                stop=self.stop,
                keep_best=self.run_settings.keep_best,
                bar=options.enable_progress_bar is not False,
            )
        given = options.callbacks or []
        options.callbacks = [*(given if isinstance(given, list) else [given]), *callbacks]
        given = options.plugins or []
        options.plugins = [*(given if isinstance(given, list) else [given]), *self.ranks.plugins]
        given = options.logger if isinstance(options.logger, list) else [options.logger]
        loggers += [logger for logger in given if not isinstance(logger, bool | None)]
        kwargs |= {"logger": loggers or False, "default_root_dir": str(self.folder)}
        return super().instantiate_trainer(**kwargs)

    def _loggers(self, config: dict[str, Any]) -> list[Any]:
        """Write what a run's folder holds from its beginning; open its metrics."""
        forget_outcome(self.folder)
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
        metrics = MetricsCsv(self.folder / "metrics.csv")
        if self.checkpoint:
            metrics.cut_after(self.first_step)
        return [metrics]

    def _facts(self) -> dict[str, Any]:
        """Give what an outcome says beside the end itself."""
        return {
            "stopped_early": "asked" if self.stop.obeyed else None,
            "step": self.trainer.global_step,
            "seconds": time.perf_counter() - self.start,
            "parameters": count_parameters(self.model),
        }

    def fit(self, **kwargs: Any) -> None:
        """Train; leave weights, metrics and pictures in a folder of the run."""
        with record_failure(self.folder, self._facts):
            self._fit()
        if self.ranks.rank == 0:
            self.stop.file.unlink(missing_ok=True)
            write_outcome(self.folder, Outcome("completed", **self._facts()))

    def _fit(self) -> None:
        """Train; draw the curves and confusions; score the test split where that was asked for."""
        best = self.folder / "checkpoints" / "best.ckpt"
        pictures: dict[str, Path] = {}
        wandb, exit_code = None, 1
        is_first = self.ranks.rank == 0
        try:
            if is_first:
                device = self.trainer.strategy.root_device
                write_environment(self.folder, self.git, self.datamodule, device, self.precision)
                settings = self._get(self.config_init, "wandb")
                wandb = start_wandb(settings, self.folder, self.run_settings.name, self.record)
            if wandb:
                self.trainer.loggers = [*self.trainer.loggers, wandb]
            self.trainer.fit(
                self.model, self.datamodule, ckpt_path=self.checkpoint, weights_only=True
            )
            self.trainer.loggers = []  # their rows are the fit's
            if has_best := self.trainer.strategy.broadcast(best.is_file()):
                if not self.model.val_metrics.confusion.any():  # resumed after its last step
                    self.trainer.validate(self.model, self.datamodule, verbose=False)
                if is_first:
                    metrics, store = self.model.val_metrics, self.datamodule.store
                    draw = self.run_settings.pictures
                    pictures = report_fit(self.folder, metrics, store, draw=draw)
            if self.run_settings.test_after_fit and has_best:
                self._test(str(best))
                pictures["test/confusion"] = self.folder / "confusion.png"
            exit_code = 0
        except SystemExit as error:
            # Lightning answers Ctrl-C with exit code 1, and SIGTERM with none.
            raise (KeyboardInterrupt if error.code == 1 else SystemExit(TERMINATED)) from None
        finally:
            finish_wandb(wandb, pictures, exit_code)
            say_what_is_next(self.folder)

    def test(self, **kwargs: Any) -> None:
        """Score the test split where it has labels, else the validation split; predict it."""
        assert self.checkpoint is not None
        self._test(self.checkpoint)

    def predict(self, **kwargs: Any) -> None:
        """Write prediction.csv."""
        assert self.checkpoint is not None
        self._evaluation.predict(self.checkpoint)

    def validate(self, **kwargs: Any) -> None:
        """Score the validation split."""
        assert self.checkpoint is not None
        self._evaluation.validate(self.checkpoint)

    @property
    def _evaluation(self) -> Evaluation:
        return Evaluation(
            self.trainer, self.model, self.datamodule, self.folder, self.precision, self.collected
        )

    def _test(self, checkpoint: str) -> None:
        record = self._evaluation.test(checkpoint)
        if record and not keep_score(record, self.run_settings):
            self.exit_code = 1


def run() -> int:
    """Do what the command line says; give the exit code."""
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    show_on_screen()
    exit_on_sigterm()
    try:
        return PhonemeCLI().exit_code
    except SystemExit as error:
        if error.code == TERMINATED and not is_supervised():
            say("ended by SIGTERM")
        raise
    except MisconfigurationException as error:
        raise InputError(str(error)) from error
    except RuntimeError as error:
        leave_if_alone(error)
        raise


def main() -> None:
    """Run `phoneme-cli` where it has been loaded already, as in a forked process."""
    run_command(run)
