"""Trained weights over a whole split: validate, predict, test. Of many ranks the first tells."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from phoneme_lightning.data import PhonemeDataModule
from phoneme_lightning.inference.reports import (
    CollectPredictions,
    report_test,
    report_validation,
    write_prediction,
)
from phoneme_lightning.training.classifier import PhonemeClassifier
from phoneme_lightning.training.run import say

__all__ = ["Evaluation"]


@dataclass
class Evaluation:
    """What weights are evaluated with.

    Attributes:
        trainer: has `collected` among its callbacks.
        model: its weights come from the checkpoint.
        data: whose splits are scored.
        folder: the run's; what is found out goes there.
        precision: what is calculated in.
        collected: gathers the predictions.
    """

    trainer: Trainer
    model: PhonemeClassifier
    data: PhonemeDataModule
    folder: Path
    precision: str
    collected: CollectPredictions

    def validate(self, checkpoint: str) -> None:
        """Score the validation split; write validation.json and draw what is confused."""
        [seen] = self.trainer.validate(
            self.model, self.data, ckpt_path=checkpoint, weights_only=True, verbose=False
        )
        if not self.trainer.is_global_zero:
            return
        scores = {name: value for name, value in seen.items() if name != "step"}
        about = {"checkpoint": checkpoint, "precision": self.precision}
        report_validation(self.folder, self.data.store, self.model.val_metrics, about, scores)

    def predict(self, checkpoint: str) -> None:
        """Write prediction.csv."""
        self.trainer.predict(
            self.model, self.data, ckpt_path=checkpoint, weights_only=True, return_predictions=False
        )
        if self.trainer.is_global_zero:
            write_prediction(self.folder, self.data, self.collected.predictions)

    def test(self, checkpoint: str) -> dict[str, Any] | None:
        """Score the test split and predict it.

        Returns:
            What `report_test` gives; None where the test split has no labels: then the validation
            split was scored in its place. None too on all ranks but the first.
        """
        if not self.data.test_has_labels:
            say(
                f"the test split of {self.data.store.path} has no labels: "
                "here is the validation split instead, and the prediction"
            )
            self.validate(checkpoint)
            self.predict(checkpoint)
            return None
        self.trainer.test(
            self.model, self.data, ckpt_path=checkpoint, weights_only=True, verbose=False
        )
        if not self.trainer.is_global_zero:
            return None
        write_prediction(self.folder, self.data, self.collected.predictions)
        return report_test(
            self.folder,
            self.data,
            self.collected.predictions,
            self.model.test_metrics,
            checkpoint=checkpoint,
            precision=self.precision,
        )
