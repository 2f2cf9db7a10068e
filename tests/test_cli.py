"""phoneme-cli as a person uses it: a fit, then its checkpoint, and what goes wrong."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import torch
import yaml

from phoneme_lightning.cli import PhonemeCLI, main
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.confusion_file import read_confusion
from phoneme_lightning.inference.load import load_classifier
from phoneme_lightning.inference.submission import read_submission
from phoneme_lightning.models import RNN
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.metrics_csv import MetricsCsv
from phoneme_lightning.training.record import read_record

SMALL = {
    "model.backbone": "phoneme_lightning.models.RNN",
    "model.backbone.init_args.hidden_size": 8,
    "model.optimizer.init_args.lr": 0.01,
    "model.warmup_steps": 2,
    "data.frames_per_batch": 200,
    "trainer.max_steps": 6,
    "trainer.val_check_interval": 3,
    "trainer.log_every_n_steps": 1,
    "trainer.enable_progress_bar": "false",
    "wandb.mode": "disabled",
}


def flags(**settings):
    """Give dotted keys as flags; two underscores stand for a dot."""
    return [f"--{key.replace('__', '.')}={value}" for key, value in settings.items()]


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_store):
    """Give a folder with data/spoken (labelled test) and data/libriphone (unlabelled test)."""
    place = tmp_path_factory.mktemp("place")
    make_store(place / "data" / "spoken", seed=1)
    make_store(place / "data" / "libriphone", labelled_test=False)
    return place


@pytest.fixture(autouse=True)
def inside(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["phoneme-cli"])


def fit(*words):
    return PhonemeCLI(["fit", *flags(**SMALL), *words])


@pytest.fixture(scope="module")
def trained(place):
    """Give the folder of a fit on data/libriphone, which `auto` finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", ["phoneme-cli"])
        return place / fit(*flags(run__name="rnn")).folder


def test_a_run_leaves_all_that_the_docs_name(trained):
    assert trained.parent.name == "rnn"
    left = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert left >= {
        "config.yaml",
        "command.txt",
        "environment.json",
        "outcome.json",
        "metrics.csv",
        "log.txt",
        "curves.png",
        "confusion-validation.csv",
        "confusion-validation.png",
        "utterances-validation.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["data"]["corpus"] == config["trainer"]["precision"] == "auto"
    assert config["resolved"]["corpus"] == "libriphone"
    assert config["resolved"]["precision"] in ("bf16-mixed", "32-true")
    assert read_record(trained / "checkpoints" / "best.ckpt")["config"] == config
    rows = read_metrics(trained / "metrics.csv")
    assert [row["step"] for row in rows if "train/loss" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "val/frame_accuracy" in row] == [3, 6]


def test_a_run_can_be_repeated_from_its_config(trained, tmp_path):
    again = PhonemeCLI(
        ["fit", "--config", str(trained / "config.yaml"), f"--run.folder={tmp_path / 'again'}"]
    )
    first, second = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (trained, again.folder)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


class TestCheckpointGivesWay:
    """`--ckpt_path` fills in what was not said, and overrides nothing that was."""

    def resume(self, trained, tmp_path, *words):
        checkpoint = trained / "checkpoints" / "last.ckpt"
        return PhonemeCLI(
            ["fit", f"--ckpt_path={checkpoint}", f"--run.folder={tmp_path / 'run'}", *words]
        )

    def test_nothing_said(self, trained):
        cli = PhonemeCLI(["validate", f"--ckpt_path={trained / 'checkpoints' / 'best.ckpt'}"])
        assert isinstance(cli.model.backbone, RNN)
        assert cli.model.backbone.output_dim == 16
        assert str(cli.datamodule.store.path) == "data/libriphone"

    def test_a_flag(self, trained, tmp_path):
        words = flags(model__optimizer__init_args__lr=0.5, trainer__max_steps=8)
        cli = self.resume(trained, tmp_path, *words)
        group = cli.trainer.optimizers[0].param_groups[0]
        assert group["initial_lr"] == 0.5
        assert cli.trainer.lr_scheduler_configs[0].scheduler.base_lrs == [0.5, 0.5]
        assert cli.trainer.global_step == 8

    def test_a_config_file(self, trained, tmp_path):
        file = tmp_path / "over.yaml"
        file.write_text("model:\n  label_smoothing: 0.25\ntrainer:\n  max_steps: 7\n")
        cli = self.resume(trained, tmp_path, "--config", str(file))
        assert cli.model.label_smoothing == 0.25
        assert cli.trainer.global_step == 7
        assert cli.model.backbone.output_dim == 16

    def test_nested_init_args(self, trained, tmp_path):
        words = flags(model__backbone__init_args__dropout=0.7, trainer__max_steps=7)
        cli = self.resume(trained, tmp_path, *words)
        assert cli.model.backbone.recurrent.dropout.p == 0.7
        assert cli.model.backbone.output_dim == 16

    def test_init_args_that_the_default_backbone_does_not_take(self, trained, tmp_path):
        file = tmp_path / "over.yaml"
        file.write_text("model: {backbone: {init_args: {cell: lstm}}}\ntrainer: {max_steps: 7}")
        cli = self.resume(trained, tmp_path, "--config", str(file))
        assert isinstance(cli.model.backbone, RNN)
        assert cli.trainer.global_step == 7

    def test_a_missing_file_is_said_before_what_its_net_would_take(self):
        words = flags(ckpt_path="none.ckpt", model__backbone__init_args__cell="gru")
        with pytest.raises(InputError, match=r"none\.ckpt', where there is no file"):
            PhonemeCLI(["fit", *words])

    def test_another_root(self, trained, place):
        (place / "moved").mkdir()
        (place / "moved" / "libriphone").symlink_to(place / "data" / "libriphone")
        words = flags(ckpt_path=trained / "checkpoints" / "best.ckpt", data__root="moved")
        assert str(PhonemeCLI(["validate", *words]).datamodule.store.path) == "moved/libriphone"

    def test_a_config_file_before_the_subcommand(self, trained, tmp_path):
        file = tmp_path / "over.yaml"
        file.write_text("validate:\n  data:\n    split: speaker\n")
        words = ["--config", str(file), "validate"]
        cli = PhonemeCLI([*words, f"--ckpt_path={trained / 'checkpoints' / 'best.ckpt'}"])
        assert cli.datamodule.split == "speaker"

    def test_the_precision_of_the_fit_is_that_of_the_score(self, tmp_path):
        folder = tmp_path / "run"
        fit(*flags(trainer__precision="32-true", run__folder=folder))
        (folder / "confusion-validation.csv").unlink()  # that of the last validation
        best = folder / "checkpoints" / "best.ckpt"
        assert PhonemeCLI(["validate", f"--ckpt_path={best}"]).trainer.precision == "32-true"
        scores = json.loads((folder / "validation.json").read_text())
        assert scores["precision"] == "32-true"
        confusion = read_confusion(folder).counts
        assert confusion.trace() / confusion.sum() == pytest.approx(scores["val/frame_accuracy"])

    def test_from_another_folder(self, trained, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        cli = PhonemeCLI(["validate", f"--ckpt_path={trained / 'checkpoints' / 'best.ckpt'}"])
        home = trained.parents[2] / "data"
        assert cli.datamodule.store.path == (home / "libriphone").resolve()
        (tmp_path / "other").symlink_to(home)
        words = flags(ckpt_path=trained / "checkpoints" / "best.ckpt", data__root="other")
        assert str(PhonemeCLI(["validate", *words]).datamodule.store.path) == "other/libriphone"

    def test_a_fit_that_is_over_says_so(self, trained):
        with pytest.raises(InputError, match=r"at step 6.*trainer\.max_steps above 6"):
            PhonemeCLI(["fit", f"--ckpt_path={trained / 'checkpoints' / 'last.ckpt'}"])

    def test_another_class_is_refused(self, trained):
        checkpoint = trained / "checkpoints" / "best.ckpt"
        words = ["test", f"--ckpt_path={checkpoint}", "--model.backbone=CNN"]
        with pytest.raises(InputError, match=r"ckpt_path holds another model.*model\.backbone"):
            PhonemeCLI(words)

    def test_another_size_is_refused(self, trained):
        checkpoint = trained / "checkpoints" / "best.ckpt"
        words = flags(ckpt_path=checkpoint, model__backbone__init_args__hidden_size=9)
        with pytest.raises(InputError, match=r"ckpt_path holds another model.*model\.backbone"):
            PhonemeCLI(["test", *words])

    def test_another_class_count_is_refused(self, trained):
        words = flags(ckpt_path=trained / "checkpoints" / "best.ckpt", model__num_classes=39)
        with pytest.raises(InputError, match=r"head.*model\.num_classes"):
            PhonemeCLI(["test", *words])

    def test_another_optimizer_is_refused(self, trained, tmp_path):
        file = tmp_path / "sgd.yaml"
        file.write_text(
            "model:\n  optimizer:\n    class_path: torch.optim.SGD\n    init_args: {lr: 0.1}\n"
        )
        with pytest.raises(InputError, match=r"model\.optimizer"):
            self.resume(trained, tmp_path, "--config", str(file), "--trainer.max_steps=7")


def test_test_without_labels_scores_validation_and_predicts(trained, capsys):
    cli = PhonemeCLI(["test", f"--ckpt_path={trained / 'checkpoints' / 'best.ckpt'}"])
    positions = cli.datamodule.positions("test")
    frames = cli.datamodule.store.lengths[positions].sum()
    assert len(read_submission(trained / "prediction.csv")) == frames
    assert not (trained.parent.parent / "scores.jsonl").exists()


def test_test_with_labels_scores_both_halves(trained, place):
    words = flags(ckpt_path=trained / "checkpoints" / "best.ckpt", data__corpus="spoken")
    PhonemeCLI(["test", *words])
    line = json.loads((place / "runs" / "scores.jsonl").read_text().splitlines()[-1])
    assert 0 <= line["public"] <= 1
    assert 0 <= line["private"] <= 1
    assert line["corpus"] == "synthetic"
    scores = json.loads((trained / "test.json").read_text())
    assert len(scores["by_phone"]) == 41


def test_predict_is_what_the_checkpoint_says(trained):
    cli = PhonemeCLI(["predict", f"--ckpt_path={trained / 'checkpoints' / 'best.ckpt'}"])
    classifier, _ = load_classifier(trained / "checkpoints" / "best.ckpt")
    assert all(
        torch.equal(p, q)
        for p, q in zip(classifier.parameters(), cli.model.parameters(), strict=True)
    )
    rows = read_submission(trained / "prediction.csv")
    store, first = cli.datamodule.store, cli.datamodule.positions("test")[0]
    own = cli.collected.predictions[int(first)]
    assert (rows[: len(own)] == own).all()
    assert len(own) == store.lengths[first]


def test_offline_wandb_holds_the_config_and_the_best_score(place, tmp_path):
    cli = fit(*flags(wandb__mode="offline", run__folder=tmp_path / "run"))
    (log,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    read = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(log)],
        capture_output=True,
        text=True,
        check=True,
    )
    run = json.loads(read.stdout)
    best = max(
        row["val/frame_accuracy"]
        for row in read_metrics(cli.folder / "metrics.csv")
        if "val/frame_accuracy" in row
    )
    text = json.dumps(run)
    assert "bf16-mixed" in text or "32-true" in text
    assert run["summary"]["val/frame_accuracy"]["max"] == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "--data.corpus=nowhere"], r"data\.corpus is 'nowhere'.*phoneme-data prepare"),
        (["fit", "--trainer.max_stepss=3"], r"max_stepss.*did you mean trainer\.max_steps"),
        (["fit", "--model.backbone.init_args.blockz=3"], r"blockz.*did you mean.*blocks"),
        (
            ["fit", "--model.backbone=CNN", "--model.backbone.init_args.width=3"],
            r"'width' is not accepted(?!.*did you mean width\?)",
        ),
        (["fit", "--trainer.max_step=3"], r"max_step.*did you mean trainer\.max_steps"),
        (["fit", "--trainer.max_steps=0", "--data.corpus=spoken"], r"trainer\.max_steps is 0"),
        (["fit", "--trainer.max_steps=many"], r"trainer\.max_steps: Expected a int"),
        (["fit", "--data.split=speakers"], r"data\.split: Expected.*'speaker'"),
        (["fit", "--data.augment.noise=-1"], r"data\.augment\.noise is -1"),
        (["fit", "--model.ema_decay=2"], r"model\.ema_decay is 2"),
        (["fit", "--data.frames_per_batch=0"], r"data\.frames_per_batch is 0"),
        (["fit", "--divergence.lost_gradients=0"], r"divergence\.lost_gradients is 0"),
        pytest.param(
            ["fit", "--trainer.accelerator=gpu"],
            r"trainer\.accelerator is 'gpu'",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there"),
        ),
        (["fit", "--model.num_classes=50", "--data.corpus=spoken"], r"model\.num_classes is 50"),
        (
            ["fit", "--trainer.devices=2", "--trainer.strategy=fsdp", "--data.corpus=spoken"],
            r"trainer\.strategy is 'fsdp'",
        ),
        (["fit", "--config=none.yaml"], r"config: File does not exist"),
        (["test"], r"ckpt_path is missing"),
        (
            ["predict", "--ckpt_path=none.ckpt"],
            r"ckpt_path is 'none\.ckpt', where there is no file",
        ),
        (["validate", "--ckpt_path=data/spoken/manifest.json"], r"no readable checkpoint"),
        (["fitt"], r"invalid choice: 'fitt'"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(words, said):
    with pytest.raises(InputError, match=said) as caught:
        PhonemeCLI(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["fit", "--help"], ["fit", "-h"]])
def test_help_tells_what_each_key_is(words, capsys):
    with pytest.raises(SystemExit):
        PhonemeCLI(words)
    said = " ".join(capsys.readouterr().out.split())
    assert "Gradients in a row that are not finite." in said
    assert "Folder of all runs." in said


def test_a_mistake_ends_with_code_2_and_no_traceback():
    code = "from phoneme_lightning.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "fit", "--data.corpus=nowhere"], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: data.corpus")
    assert run.stderr.count("\n") == 1
    assert "Traceback" not in run.stdout


def test_without_wandb_the_fit_goes_on(monkeypatch, tmp_path, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    caplog.set_level("INFO", logger="phoneme_lightning")
    cli = fit(*flags(wandb__mode="offline", run__folder=tmp_path / "run"))
    assert "Weights & Biases does not work here" in caplog.text
    assert read_metrics(cli.folder / "metrics.csv")


def test_a_demo_that_learns_nothing_exits_with_1(tmp_path):
    settings = {
        "data.corpus": "spoken",
        "run.test_after_fit": "true",
        "run.beat_baselines_by": 0.2,
        "run.folder": tmp_path / "run",
        "model.optimizer.init_args.lr": 1e-6,
    }
    assert fit(*(f"--{key}={value}" for key, value in settings.items())).exit_code == 1
    assert (tmp_path / "run" / "confusion.png").stat().st_size > 10_000


def test_the_last_step_is_validated_wherever_it_falls(tmp_path):
    words = flags(run__folder=tmp_path / "run", trainer__max_steps=5, trainer__val_check_interval=4)
    rows = read_metrics(fit(*words).folder / "metrics.csv")
    assert [row["step"] for row in rows if "val/loss" in row] == [4, 5]


def test_what_lightning_tries_before_the_fit_is_no_validation_of_it(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stop").touch()
    words = flags(trainer__num_sanity_val_steps=1, run__folder=tmp_path / "run")
    cli = fit(*words)
    assert cli.trainer.global_step == 3  # asked to stop, it does after its first validation
    rows = read_metrics(cli.folder / "metrics.csv")
    assert [row["step"] for row in rows if "val/loss" in row] == [3]
    assert not (cli.folder / "stop").exists()


def test_a_fit_that_diverges_stops_and_says_what_to_change(tmp_path):
    words = flags(
        model__optimizer__init_args__lr=1e30, trainer__max_steps=60, run__folder=tmp_path / "run"
    )
    with pytest.raises(InputError, match=r"diverged.*model\.optimizer\.init_args\.lr"):
        fit(*words)


def test_one_gradient_that_is_not_finite_costs_that_step_only(tmp_path, monkeypatch, caplog):
    step = PhonemeClassifier.training_step

    def spoilt(self, batch, batch_idx):
        loss = step(self, batch, batch_idx)
        return loss * (float("nan") if self.trainer.global_step == 2 else 1.0)

    monkeypatch.setattr(PhonemeClassifier, "training_step", spoilt)
    caplog.set_level("INFO", logger="phoneme_lightning")
    cli = fit(*flags(run__folder=tmp_path / "run"))
    assert "1 gradients so far were not finite" in caplog.text
    assert all(parameter.isfinite().all() for parameter in cli.model.parameters())
    assert cli.trainer.global_step == 6


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model__optimizer__init_args__lr": -1}, r"model\.optimizer.*learning rate"),
        ({"model__backbone__init_args__dropout": 2}, r"dropout"),
        ({"trainer__check_val_every_n_epoch": 1, "trainer__val_check_interval": 999}, r"val_check"),
    ],
)
def test_a_bad_value_ends_with_code_2(settings, said, tmp_path, monkeypatch, capsys):
    words = ["fit", *flags(**SMALL), *flags(run__folder=tmp_path / "run", **settings)]
    monkeypatch.setattr(sys, "argv", ["phoneme-cli", *words])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert re.search(said, error, re.IGNORECASE)


def test_a_new_fit_does_not_mix_into_the_folder_of_another(trained):
    with pytest.raises(InputError, match=r"run\.folder is .*ckpt_path"):
        fit(*flags(run__folder=trained))


def test_a_moved_run_keeps_its_best_score(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "moved")
    last = tmp_path / "moved" / "checkpoints" / "last.ckpt"
    cli = PhonemeCLI(["fit", f"--ckpt_path={last}", "--trainer.max_steps=7"])
    assert cli.folder == tmp_path / "moved"
    best = cli.trainer.checkpoint_callback
    assert best.best_model_score >= max(
        row["val/frame_accuracy"]
        for row in read_metrics(trained / "metrics.csv")
        if "val/frame_accuracy" in row
    )
    assert best.best_model_path == str(last.with_name("best.ckpt"))
    steps = [row["step"] for row in read_metrics(cli.folder / "metrics.csv") if "val/loss" in row]
    assert steps == [3, 6, 7]


def test_a_row_cut_short_by_a_crash_is_left_out(trained, tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text((trained / "metrics.csv").read_text() + "7,0.12")
    assert read_metrics(file) == read_metrics(trained / "metrics.csv")
    MetricsCsv(file).log_metrics({"train/loss": 1.0}, 7)
    assert read_metrics(file)[-1] == {"step": 7, "train/loss": 1.0}
