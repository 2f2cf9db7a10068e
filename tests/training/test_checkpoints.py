"""Which weights are kept."""

import pytest
import torch

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.errors import InputError
from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.utterance_file import read_utterances

pytestmark = pytest.mark.usefixtures("alone")


def scores(folder):
    """Give validation accuracy by step."""
    rows = read_metrics(folder / "metrics.csv")
    return {int(row["step"]): row["val/frame_accuracy"] for row in rows if "val/loss" in row}


def kept(folder):
    """Give the steps of the kept weights by the names of the files, but for last.ckpt."""
    files = (folder / "checkpoints").iterdir()
    return {
        file.name: torch.load(file, weights_only=True)["global_step"]
        for file in files
        if file.name != "last.ckpt"
    }


@pytest.mark.parametrize("number", [1, 3])
def test_the_best_are_kept_and_no_others_also_after_going_on(words, store24, tmp_path, number):
    folder = tmp_path / "run"
    PhonemeCLI(words(run__keep_best=number, model__optimizer__init_args__lr=0.02))
    for steps in (8, 16):
        if steps == 16:
            last = folder / "checkpoints" / "last.ckpt"
            PhonemeCLI(["fit", f"--ckpt_path={last}", "--trainer.max_steps=16"])
        found, of_step = kept(folder), scores(folder)
        assert max(of_step) == steps
        assert len(found) == number
        assert of_step[found.pop("best.ckpt")] == max(of_step.values())
        assert found == {f"step={step}.ckpt": step for step in found.values()}
        counts = read_utterances(folder)
        assert set(counts) == {store24.ids[row] for row in store24.split("utterance", "validation")}
        right, frames = (sum(count[place] for count in counts.values()) for place in (1, 0))
        assert right / frames == pytest.approx(max(of_step.values()))
        best = sorted(of_step.values(), reverse=True)
        assert sorted((of_step[step] for step in found.values()), reverse=True) == best[1:number]


def test_what_lightning_tries_before_the_fit_is_not_the_best(words, tmp_path, mishap):
    settings = {"trainer__num_sanity_val_steps": 1, "trainer__val_check_interval": 8}
    with pytest.raises(ZeroDivisionError):
        PhonemeCLI(words(trainer__callbacks=mishap("Crash"), **settings))
    assert not (tmp_path / "run" / "utterances-validation.csv").exists()


def test_none_is_refused(words):
    with pytest.raises(InputError, match=r"run\.keep_best is 0"):
        PhonemeCLI(words(run__keep_best=0))
