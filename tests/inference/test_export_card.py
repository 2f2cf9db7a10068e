"""What the model card says, and of what it is silent."""

import json
import os

import numpy as np
import pytest

from phoneme_lightning.inference.confusion_file import write_confusion
from phoneme_lightning.inference.export.card import model_card
from phoneme_lightning.inference.export.measured import Measured, measured
from phoneme_lightning.phones import NUM_PHONES, PHONES

ABOUT = {
    "version": "1",
    "step": 1_000,
    "phones": list(PHONES),
    "scored_as": {},
    "net": {"backbone": {"class_path": "phoneme_lightning.models.CNN"}},
    "parameters": 12_345,
    "split": "speaker",
    "train_share": 0.25,
}
MANIFEST = {
    "settings": {},
    "counts": {"utterances": 9, "frames": 36_000, "splits": {"speaker": {"train": 7, "test": 2}}},
}
NOTHING = Measured({}, {}, None, {})


@pytest.fixture
def run(tmp_path):
    """Give a run's folder whose checkpoint was validated and tested, and the checkpoint."""
    checkpoint = tmp_path / "best.ckpt"
    checkpoint.touch()
    counts = np.zeros((NUM_PHONES, NUM_PHONES), dtype=int)
    counts[2, [2, 3]] = 6, 2
    counts[3, 3] = 2
    write_confusion(tmp_path, counts)
    scores = {"checkpoint": "run/checkpoints/best.ckpt", "val/frame_accuracy": 0.8}
    (tmp_path / "validation.json").write_text(json.dumps(scores))
    scores = {"checkpoint": "best.ckpt", "frame_accuracy": 0.7, "by_phone": {"SIL": None, "S": 0.5}}
    (tmp_path / "test.json").write_text(json.dumps(scores))
    (tmp_path / "metrics.csv").write_text("step,val/frame_accuracy\n900,0.1\n1000,0.6\n1000,\n")
    return tmp_path, checkpoint


def test_scores_and_phones_come_from_what_was_measured_of_these_weights(run):
    folder, checkpoint = run
    found = measured(folder, checkpoint, 1_000)
    card = model_card(ABOUT, "spoken", None, found)
    assert "| frame accuracy | 0.8000 | 0.7000 |" in card
    assert "| S | 8 | 0.750 | 1.000 | UW |" in card
    assert "| UW | 2 | 1.000 | 0.500 | none |" in card


def test_scores_of_other_weights_are_not_said(run):
    folder, checkpoint = run
    other = measured(folder, checkpoint.with_name("last.ckpt"), 900)
    assert (other.validation, other.test, other.confusion) == ({"frame_accuracy": 0.1}, {}, None)
    later = (folder / "test.json").stat().st_mtime + 10
    os.utime(checkpoint, (later, later))
    newer = measured(folder, checkpoint, 1_000)
    assert (newer.validation, newer.test, newer.by_phone) == ({"frame_accuracy": 0.6}, {}, {})
    assert newer.confusion is None  # 0.8 of its frames are right
    assert "None stood beside the checkpoint" in model_card(ABOUT, "spoken", None, NOTHING)


def test_the_phones_of_a_test_stand_where_there_is_no_better_table(run):
    folder, checkpoint = run
    (folder / "confusion-validation.csv").unlink()
    card = model_card(ABOUT, "spoken", None, measured(folder, checkpoint, 1_000))
    assert "| SIL |  |\n| S | 0.500 |" in card


def test_data_and_limits_are_those_of_the_corpus():
    card = model_card(ABOUT, "libriphone", MANIFEST, NOTHING)
    assert "9 (train 7, test 2), 36,000 frames, 0.1 hours" in card
    assert "a share of 0.25" in card
    assert "audiobooks" in card
    assert "not known here" in model_card(ABOUT, "mine", None, NOTHING)
    folded = ABOUT | {"phones": ["aa", "ao", "b"], "scored_as": {"ao": "aa"}}
    assert "3 phones, scored as 2" in model_card(folded, "timit", None, NOTHING)


@pytest.mark.parametrize(
    ("corpus", "said"),
    [
        ("spoken", "none: it is synthetic, spoken by espeak-ng"),
        ("libriphone", "its speech is LibriSpeech's, CC BY 4.0: name Panayotov"),
        ("librispeech", "CC BY 4.0: name Panayotov et al. (2015)."),
        ("timit", "that of the Linguistic Data Consortium (LDC93S1)"),
        ("folder", "not known here: ask whoever made the corpus"),
    ],
)
def test_the_licence_is_the_corpus_s_or_what_who_prepared_it_says(corpus, said):
    line = f"* Licence of the data: {said}"
    assert line in model_card(ABOUT, corpus, MANIFEST, NOTHING)
    by_name = "goes by its name"
    assert (by_name in model_card(ABOUT, corpus, None, NOTHING)) == (corpus != "folder")
    assert by_name not in model_card(ABOUT, corpus, MANIFEST, NOTHING)
    own = MANIFEST | {"settings": {"licence": "CC0, J. Doe"}}
    line = "* Licence of the data: CC0, J. Doe (as who prepared it says)."
    assert line in model_card(ABOUT, corpus, own, NOTHING)
