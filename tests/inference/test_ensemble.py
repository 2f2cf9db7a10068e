"""Nets as one: what they score and predict together, what is left, and what is refused."""

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from phoneme_lightning.cli import PhonemeCLI
from phoneme_lightning.corpora.pseudo import pseudo_label
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.corpora.writer import StoreWriter
from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.module import prepare
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.confusion_file import read_confusion
from phoneme_lightning.inference.ensemble import ensemble
from phoneme_lightning.inference.load import load_classifier
from phoneme_lightning.inference.submission import read_submission
from phoneme_lightning.phones import PHONES
from phoneme_lightning.training.record import read_record
from phoneme_lightning.training.utterance_file import read_utterances

SMALL = {
    "model.backbone": "phoneme_lightning.models.RNN",
    "model.warmup_steps": 2,
    "model.optimizer.init_args.lr": 0.03,
    "data.frames_per_batch": 200,
    "trainer.max_steps": 30,
    "trainer.val_check_interval": 15,
    "trainer.precision": "32-true",
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
    "run.pictures": "false",
    "wandb.mode": "disabled",
}


load = cache(load_classifier)


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_store):
    """Give a folder with a corpus, and another whose test split has labels."""
    place = tmp_path_factory.mktemp("place")
    make_store(place / "data" / "libriphone", utterances=40, labelled_test=False)
    make_store(place / "data" / "labelled", utterances=40, seed=1)
    return place


@pytest.fixture(autouse=True)
def inside(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["phoneme-cli"])


@pytest.fixture(scope="module")
def fit(place):
    """Fit a small net, once for each set of settings; give its best checkpoint."""
    done = {}

    def fit(size=8, **settings):
        key = (size, *settings.items())
        if key not in done:
            words = SMALL | {"model.backbone.init_args.hidden_size": size, **settings}
            words |= {"run.folder": place / f"runs/{len(done)}"}
            cli = PhonemeCLI(["fit", *(f"--{name}={value}" for name, value in words.items())])
            done[key] = str(cli.folder / "checkpoints" / "best.ckpt")
        return done[key]

    return fit


@pytest.fixture(scope="module")
def both(fit, place):
    """Give the folder of two nets, the second of which counts three times, decoded as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", ["phoneme-cli"])
        nets = [fit(), fit(12)]
        return ensemble(nets, weights=[1, 3], decode=True, out=str(place / "both"))


def log_probabilities(checkpoint, store, position):
    """Hear one utterance alone, (frames, 41)."""
    classifier, _ = load(checkpoint)
    with torch.inference_mode():
        batch = prepare(Frames(store).gather(np.array([position])), "temporal")
        return classifier(batch)[0].log_softmax(-1).numpy()


def test_the_mean_of_two_nets_is_scored_and_predicted(fit, place, both):
    nets, shares = [fit(), fit(12)], [0.25, 0.75]
    store = FrameStore(place / "data" / "libriphone")

    def classes(position):
        both = zip(shares, nets, strict=True)
        parts = [share * log_probabilities(net, store, position) for share, net in both]
        return np.sum(parts, axis=0).argmax(axis=1)

    positions = store.split("utterance", "validation")
    assert len(positions) > 1
    right = {store.ids[p]: int((classes(p) == store[p].labels).sum()) for p in positions}
    counts = read_utterances(both)
    assert {name: count for name, (_, count) in counts.items()} == right
    scores = json.loads((both / "validation.json").read_text())
    frames = int(store.lengths[positions].sum())
    assert scores["val/frame_accuracy"] == pytest.approx(sum(right.values()) / frames)
    assert read_confusion(both).counts.trace() == sum(right.values())
    assert (scores["checkpoints"], scores["weights"]) == (nets, shares)
    expected = np.concatenate([classes(p) for p in store.split("utterance", "test")])
    assert np.array_equal(read_submission(both / "prediction.csv"), expected)


def test_one_net_is_what_its_own_test_says(fit, place):
    checkpoint = fit(**{"trainer.precision": "bf16-mixed"})
    folder = ensemble([checkpoint], out=str(place / "one"))
    own = PhonemeCLI(["test", f"--ckpt_path={checkpoint}"]).folder
    alone, tested = (json.loads((f / "validation.json").read_text()) for f in (folder, own))
    for name in ("val/frame_accuracy", "val/macro_f1", "val/phone_error_rate"):
        assert alone[name] == pytest.approx(tested[name])
    for name in ("prediction.csv", "utterances-validation.csv"):
        assert (folder / name).read_bytes() == (own / name).read_bytes()


def test_decoded_files_stand_apart_and_say_what_was_chosen_on_what(both):
    left = {path.name for path in both.iterdir()} - {"command.txt", "log.txt", "decoded"}
    assert {path.name for path in (both / "decoded").iterdir()} == left | {"phones.json"}
    before, after = (
        json.loads((folder / "validation.json").read_text()) for folder in (both, both / "decoded")
    )
    halves = after["decoder"]["validation"]
    assert sum(half["utterances"] for half in halves) == len(read_utterances(both))
    shortest = after["decoder"]["shortest_run_frames"]
    assert tuple(shortest) == PHONES
    assert set(shortest.values()) > {1, 3}  # 1 of those that stand inside no utterance
    steps = [read_record(net)["step"] for net in before["checkpoints"]]
    assert json.loads((both / "decoded" / "phones.json").read_text())["steps"] == steps
    assert after["val/phone_error_rate"] < before["val/phone_error_rate"]
    plain, decoded = (read_submission(f / "prediction.csv") for f in (both, both / "decoded"))
    assert len(plain) == len(decoded)
    assert np.count_nonzero(np.diff(decoded)) < np.count_nonzero(np.diff(plain))


def test_a_decoder_that_makes_validation_worse_is_said_and_not_left(fit, place, caplog):
    draw = np.random.default_rng(0)
    with StoreWriter(place / "data" / "hasty", coefficients=13) as writer:
        for number in range(24):
            # Each run of training lasts for 9 frames, of validation for 3.
            phones = np.arange(30) % 3 if number % 2 else np.arange(30) % 2 * 2
            labels = phones.repeat(9 if number < 16 else 3)
            features = 2 * np.eye(13)[labels] + 0.1 * draw.normal(size=(len(labels), 13))
            writer.add(f"{number}", f"{number % 4}", features.astype(np.float32), labels)
        splits = {"utterance": np.repeat([0, 1, 2], [16, 6, 2])}
        writer.finish(corpus="hasty", splits=splits, settings={}, counts={})
    net = fit(**{"data.corpus": "hasty"})
    beside = Path(net).with_name("phones.json")
    beside.write_text("of an earlier time")
    caplog.set_level("INFO")
    folder = ensemble([net], decode=True, out=str(place / "worse"))
    before, after = (
        json.loads((x / "validation.json").read_text()) for x in (folder, folder / "decoded")
    )
    assert after["val/frame_accuracy"] < before["val/frame_accuracy"]
    rates = (f"{x['val/phone_error_rate']:.4f}" for x in (before, after))
    said = (folder / "log.txt").read_text()
    assert "decoding makes validation worse (frame accuracy" in said
    assert f"phone error rate {' -> '.join(rates)}): no phones.json is left" in said
    assert not beside.exists()
    assert not (folder / "decoded" / "phones.json").exists()


def test_a_test_split_with_labels_is_scored(fit, place):
    folder = ensemble([fit(**{"data.corpus": "labelled"})], out=str(place / "scored"))
    scores = json.loads((folder / "test.json").read_text())
    assert 0 < scores["frame_accuracy"] <= 1


def test_nets_of_other_utterances_are_refused_by_name(fit):
    for key, value in (("data.corpus", "labelled"), ("data.split", "speaker")):
        nets = [fit(), fit(**{key: value})]
        with pytest.raises(InputError, match="other validation utterances") as refused:
            ensemble(nets)
        assert all(net in str(refused.value) for net in nets)
        assert "\n" not in str(refused.value)


def test_nets_of_a_store_with_more_to_train_on_go_together(fit, place, both):
    store = FrameStore(place / "data" / "libriphone")
    pseudo_label(store, read_submission(both / "prediction.csv"), place / "data" / "more")
    together = ensemble([fit(), fit(**{"data.corpus": "more"})], out=str(place / "together"))
    frames = store.lengths[store.split("utterance", "test")].sum()
    assert len(read_submission(together / "prediction.csv")) == frames


@pytest.mark.parametrize(
    ("weights", "said"),
    [([1.0], "--weight gives 1 numbers for 2"), ([0.0, 0.0], "not all 0"), ([1.0, -1.0], "from 0")],
)
def test_weights_that_are_none_are_refused(fit, weights, said):
    with pytest.raises(InputError, match=said):
        ensemble([fit(), fit(12)], weights=weights)


def test_a_net_that_is_named_twice_is_refused(fit):
    with pytest.raises(InputError, match="is named twice"):
        ensemble([fit(), fit()])


def test_the_corpus_is_found_from_elsewhere_and_where_it_was_moved(
    fit, place, tmp_path, monkeypatch
):
    net = fit()
    monkeypatch.chdir(tmp_path)
    here = ensemble([net], out="here")
    (tmp_path / "moved").symlink_to(place / "data")
    moved = ensemble([net], root="moved", out="there")
    for name in ("prediction.csv", "utterances-validation.csv"):
        assert (here / name).read_bytes() == (moved / name).read_bytes()
    with pytest.raises(InputError, match="no frame store at empty/libriphone"):
        ensemble([net], root="empty")


def test_what_a_folder_holds_is_not_mixed_with_another(fit, both):
    with pytest.raises(InputError, match="where scores are already"):
        ensemble([fit()], out=str(both))
    with pytest.raises(InputError, match="where a run is already"):
        ensemble([fit()], out=str(Path(fit(12)).parents[1]))
