"""What became of a fit, as its folder tells it: real fits, real signals, real mistakes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.outcome import (
    Infeasible,
    Outcome,
    read_outcome,
    record_failure,
    write_outcome,
)

pytestmark = pytest.mark.usefixtures("alone")


def left(folder):
    """Give a run's outcome, and the steps at which it was validated."""
    rows = read_metrics(folder / "metrics.csv")
    return read_outcome(folder), [int(row["step"]) for row in rows if "val/loss" in row]


def test_a_fit_that_came_to_its_end(words, tmp_path):
    cli = PhonemeCLI(words())
    outcome, validated = left(tmp_path / "run")
    parameters = sum(p.numel() for p in cli.model.parameters())
    assert outcome == Outcome("completed", step=8, seconds=outcome.seconds, parameters=parameters)
    assert 0 < outcome.seconds < 60
    assert validated == [2, 4, 6, 8]


def test_gradients_that_are_lost(words, tmp_path):
    broken = {"model.optimizer.init_args.lr": 1e30, "divergence.lost_gradients": 3}
    with pytest.raises(Infeasible, match="diverged") as caught:
        PhonemeCLI(words(**broken, trainer__max_steps=60, trainer__val_check_interval=50))
    outcome, _ = left(tmp_path / "run")
    assert (outcome.state, outcome.cause) == ("infeasible", "nan")
    assert outcome.message == str(caught.value)
    assert outcome.step < 20


def test_a_loss_that_is_too_high_ends_the_fit_once_it_is_logged(words, tmp_path):
    with pytest.raises(Infeasible, match=r"divergence\.loss_above 1;"):
        PhonemeCLI(words(divergence__loss_above=1.0))
    outcome, validated = left(tmp_path / "run")
    assert (outcome.state, outcome.cause, outcome.step) == ("infeasible", "diverged", 2)
    assert validated == [2]
    assert not (tmp_path / "run/checkpoints/best.ckpt").exists()


@pytest.mark.parametrize(("lr", "cause"), [(1e-9, "chance"), (0.03, None)])
def test_no_better_than_chance(words, tmp_path, make_store, lr, cause):
    store = make_store(tmp_path / "store", utterances=80)
    settings = {"data.corpus": store.path, "model.optimizer.init_args.lr": lr}
    settings |= {"data.frames_per_batch": 800, "divergence.chance_after": 60}
    settings |= {"trainer.max_steps": 90, "trainer.val_check_interval": 30}
    if cause:
        with pytest.raises(Infeasible, match=r"most frequent phone alone"):
            PhonemeCLI(words(**settings))
    else:
        PhonemeCLI(words(**settings))
    outcome, _ = left(tmp_path / "run")
    assert outcome.cause == cause
    assert outcome.step == (60 if cause else 90)


def test_memory_that_is_not_enough_is_the_setting_s_fault(words, tmp_path):
    """A limit on the process's address space makes PyTorch's own allocator refuse."""
    program = (
        "import resource, phoneme_lightning.cli as cli\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, resource.RLIM_INFINITY))\n"
        "cli.main()"
    )
    big = words(**{"model.backbone.init_args.hidden_size": 6000})
    done = subprocess.run(
        [sys.executable, "-c", program, *big], capture_output=True, text=True, timeout=120
    )
    outcome = read_outcome(tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert (outcome.state, outcome.cause) == ("infeasible", "memory")
    assert "data.frames_per_batch" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
    ],
)
def test_every_kind_of_memory_error_is_known(tmp_path, error):
    with pytest.raises(Infeasible), record_failure(tmp_path, dict):
        raise error
    assert read_outcome(tmp_path).cause == "memory"


def test_a_bug_has_its_traceback(words, tmp_path, mishap):
    words = words(trainer__callbacks=mishap("Crash"))
    with pytest.raises(ZeroDivisionError):
        PhonemeCLI(words)
    outcome, _ = left(tmp_path / "run")
    assert (outcome.state, outcome.message) == ("failed", "ZeroDivisionError: division by zero")
    assert "in on_train_batch_end" in outcome.traceback
    assert outcome.step == 3


def test_a_setting_that_cannot_be_built_is_told_in_the_folder_given(words, tmp_path):
    with pytest.raises(InputError):
        PhonemeCLI(words(model__ema_decay=2))
    outcome = read_outcome(tmp_path / "run")
    assert outcome.state == "failed"
    assert outcome.message.startswith("model.ema_decay is 2")
    PhonemeCLI(words())
    assert read_outcome(tmp_path / "run").state == "completed"
    with pytest.raises(InputError, match=r"run\.folder"):
        PhonemeCLI(words())
    assert read_outcome(tmp_path / "run").state == "completed"


def test_a_fault_of_the_machine_is_no_outcome(words, tmp_path, mishap):
    with pytest.raises(OSError, match="No space left"):
        PhonemeCLI(words(trainer__callbacks=mishap("FullDisk")))
    assert left(tmp_path / "run") == (None, [2])


def test_of_ranks_that_fail_the_first_one_says_why(tmp_path):
    first = Outcome("infeasible", "memory", "this one had no room")
    write_outcome(tmp_path, first)
    with pytest.raises(KeyError), record_failure(tmp_path, dict):
        raise KeyError("what followed from it")
    assert read_outcome(tmp_path) == first


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer"),
        torch.distributed.DistBackendError("NCCL error: remote process exited"),
    ],
)
def test_a_rank_that_lost_another_writes_nothing(tmp_path, error):
    with pytest.raises(RuntimeError), record_failure(tmp_path, dict):
        raise error
    assert read_outcome(tmp_path) is None


def test_a_fault_of_the_machine_that_is_told_in_one_line_is_none_either(tmp_path):
    with pytest.raises(InputError), record_failure(tmp_path, dict):
        raise InputError("labels.npy cannot be read") from OSError(errno.EIO, "Input/output error")
    assert read_outcome(tmp_path) is None


@pytest.mark.parametrize("moment", ["training", "validation"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_no_outcome_and_leaves_with_its_code(
    words, tmp_path, forks, mishap, number, code, moment
):
    words = words(
        trainer__max_steps=100_000,
        trainer__callbacks=mishap("Wait", moment=moment, reached=str(tmp_path / "reached")),
    )
    process = forks.start(words, tmp_path / "said")
    while not (tmp_path / "reached").exists():
        os.kill(process, 0)
        time.sleep(0.01)
    os.kill(process, number)
    assert forks.wait() == code
    assert read_outcome(tmp_path / "run") is None
    said = (tmp_path / "run/log.txt").read_text()
    assert ("SIGTERM" in said) == (number == signal.SIGTERM)


def test_a_fit_that_is_asked_to_stop_ends_after_its_next_validation(words, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "stop").touch()
    PhonemeCLI(words())
    outcome, validated = left(folder)
    assert (outcome.state, outcome.stopped_early, outcome.step) == ("completed", "asked", 2)
    assert validated == [2]
    assert not (folder / "stop").exists()

    PhonemeCLI(["fit", f"--ckpt_path={folder / 'checkpoints' / 'last.ckpt'}"])
    outcome, validated = left(folder)
    assert (outcome.stopped_early, outcome.step) == (None, 8)
    assert validated == [2, 4, 6, 8]


def test_a_stop_in_the_last_validation_is_not_early(words, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/stop").touch()
    PhonemeCLI(words(trainer__max_steps=2))
    assert read_outcome(tmp_path / "run").stopped_early is None


def test_what_is_half_written_is_no_outcome(tmp_path):
    assert read_outcome(tmp_path) is None
    whole = Outcome("failed", message="two\nlines", traceback="…", step=3)
    write_outcome(tmp_path, whole)
    assert read_outcome(tmp_path) == whole
    text = (tmp_path / "outcome.json").read_text()
    for length in range(len(text) - 2):
        (tmp_path / "outcome.json").write_text(text[:length])
        assert read_outcome(tmp_path) is None
    (tmp_path / "outcome.json").write_text(json.dumps({"state": "completed", "mood": "good"}))
    assert read_outcome(tmp_path) is None


def test_the_outcome_can_be_read_without_torch():
    program = (
        "import sys, phoneme_lightning.training.outcome\n"
        "print({'torch', 'lightning', 'wandb', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
