"""The data module under a real trainer: what reaches a step, and what reaches it after a resume."""

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from phoneme_lightning.data import PhonemeDataModule
from phoneme_lightning.data.augment import Augmentation
from phoneme_lightning.data.module import prepare
from phoneme_lightning.errors import InputError

AUGMENT = Augmentation(time_masks=2, coefficient_masks=1, noise=0.3, stretch=0.4)


class Recorder(LightningModule):
    """Keeps every batch that reaches a step, by stage; trains one number."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen = {"train": [], "val": [], "test": [], "predict": []}

    def training_step(self, batch, batch_idx):
        self.seen["train"].append((self.trainer.current_epoch, batch))
        return (self.weight * batch.features).square().mean()

    def validation_step(self, batch, batch_idx):
        self.seen["val"].append(batch)

    def test_step(self, batch, batch_idx):
        self.seen["test"].append(batch)

    def predict_step(self, batch, batch_idx):
        self.seen["predict"].append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def trainer_at(folder, *, callbacks=None, accelerator="cpu", **settings):
    return Trainer(
        accelerator=accelerator,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=callbacks is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        **settings,
    )


def module_of(store, **settings):
    return PhonemeDataModule(corpus=str(store.path), frames_per_batch=100, **settings)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_training_is_augmented_and_nothing_else_is(mapped_store, tmp_path):
    store, _ = mapped_store
    recorder, data = Recorder(), module_of(store, augment=AUGMENT)
    trainer = trainer_at(tmp_path, max_epochs=2)
    trainer.fit(recorder, datamodule=data)
    trainer.validate(recorder, datamodule=data, verbose=False)
    trainer.test(recorder, datamodule=data, verbose=False)
    trainer.predict(recorder, datamodule=data)

    loaders = {"val": data.val_dataloader(), "test": data.test_dataloader()}
    quiet = {stage: [prepare(batch, "temporal") for batch in loaders[stage]] for stage in loaders}
    quiet["predict"] = quiet["test"]
    # Once in the sanity check, after each epoch, and by itself.
    for stage, times in {"val": 4, "test": 1, "predict": 1}.items():
        assert len(recorder.seen[stage]) == times * len(quiet[stage])
        for seen, expected in zip(recorder.seen[stage], times * quiet[stage], strict=True):
            assert torch.equal(seen.features, expected.features)
            assert torch.equal(seen.labels, expected.labels)

    loader = data.train_dataloader()
    assert len(recorder.seen["train"]) == 2 * len(loader)
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        mine = [batch for number, batch in recorder.seen["train"] if number == epoch]
        for seen, raw in zip(mine, loader, strict=True):
            assert torch.equal(seen.utterances, raw.utterances)
            assert not torch.equal(seen.lengths, raw.lengths)  # stretched
            assert torch.equal(seen.lengths, seen.lengths_on_host)
            assert seen.features.shape[2] == 39
            assert (seen.features[seen.mask] == 0).any()  # masked


def features_of(recorder):
    return [(epoch, batch.utterances, batch.features) for epoch, batch in recorder.seen["train"]]


def assert_same_batches(seen, expected):
    for (epoch, utterances, features), (*others, other_features) in zip(
        seen, expected, strict=True
    ):
        assert epoch == others[0]
        assert torch.equal(utterances, others[1])
        assert torch.equal(features, other_features)


def resumed(store, folder, checkpoint, **settings):
    recorder = Recorder()
    data = module_of(store, augment=AUGMENT)
    trainer_at(folder, max_epochs=3, **settings).fit(
        recorder, datamodule=data, ckpt_path=checkpoint, weights_only=True
    )
    return features_of(recorder)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_a_resumed_fit_gets_the_batches_and_the_noise_of_the_quiet_one(tiny_store, tmp_path):
    recorder = Recorder()
    every_step = ModelCheckpoint(
        tmp_path / "steps", filename="{step}", every_n_train_steps=1, save_top_k=-1
    )
    after_validation = ModelCheckpoint(
        tmp_path / "epochs", filename="{epoch}", save_on_train_epoch_end=False, save_top_k=-1
    )
    data = module_of(tiny_store, augment=AUGMENT)
    callbacks = [every_step, after_validation]
    trainer_at(tmp_path, callbacks=callbacks, max_epochs=3).fit(recorder, datamodule=data)
    quiet = features_of(recorder)
    batches = len(quiet) // 3
    assert batches > 2
    # How far the first utterance of each batch is stretched: other noise every step and epoch.
    factors = np.reshape(
        [b.lengths[0] / tiny_store.lengths[b.utterances[0]] for _, b in recorder.seen["train"]],
        (3, batches),
    )
    assert np.ptp(factors, axis=0).max() > 0.15
    assert np.ptp(factors, axis=1).max() > 0.15
    for step in (1, batches - 1, batches, batches + 1, 2 * batches):
        checkpoint = tmp_path / "steps" / f"step={step}.ckpt"
        assert_same_batches(resumed(tiny_store, tmp_path, checkpoint), quiet[step:])
    for epoch in (0, 1):
        checkpoint = tmp_path / "epochs" / f"epoch={epoch}.ckpt"
        assert_same_batches(
            resumed(tiny_store, tmp_path, checkpoint), quiet[(epoch + 1) * batches :]
        )


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.parametrize("share", [0.25, 0.0], ids=["resident", "pinned"])
def test_a_gpu_is_given_what_a_cpu_is(mapped_store, tmp_path, monkeypatch, share):
    monkeypatch.setattr("phoneme_lightning.data.frames.SHARE_OF_FREE_MEMORY", share)
    seen = {}
    for accelerator in ("cpu", "gpu"):
        recorder, data = Recorder(), module_of(mapped_store[0], deltas="file")
        trainer_at(tmp_path, max_epochs=2, accelerator=accelerator, devices=1).fit(
            recorder, datamodule=data
        )
        seen[accelerator] = recorder.seen["train"]
    assert data.frames.resident == bool(share)
    for (_, mine), (_, expected) in zip(seen["gpu"], seen["cpu"], strict=True):
        assert mine.features.is_cuda
        assert torch.equal(mine.utterances.cpu(), expected.utterances)
        assert torch.equal(mine.labels.cpu(), expected.labels)
        assert torch.allclose(mine.features.cpu(), expected.features, atol=1e-3)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_a_fit_of_cut_epochs_resumes_at_the_start_of_the_next(tiny_store, tmp_path):
    recorder = Recorder()
    after_validation = ModelCheckpoint(
        tmp_path, filename="{epoch}", save_on_train_epoch_end=False, save_top_k=-1
    )
    trainer_at(tmp_path, callbacks=[after_validation], max_epochs=3, limit_train_batches=2).fit(
        recorder, datamodule=module_of(tiny_store, augment=AUGMENT)
    )
    seen = resumed(tiny_store, tmp_path, tmp_path / "epoch=0.ckpt", limit_train_batches=2)
    assert_same_batches(seen, features_of(recorder)[2:])


@pytest.mark.parametrize(("deltas", "coefficients"), [("none", 13), ("temporal", 39), ("file", 39)])
def test_deltas_stand_beside_the_cepstra(mapped_store, deltas, coefficients):
    store, _ = mapped_store
    data = module_of(store, deltas=deltas)
    for batch in data.test_dataloader():
        assert (batch.delta_maps is not None) == (deltas == "file")
        features = data.on_after_batch_transfer(batch, 0).features
        assert features.shape[2] == coefficients
        assert torch.allclose(features[..., :13], batch.features, atol=1e-5)


def test_deltas_of_the_file_are_the_39_that_it_held(mapped_store):
    store, whole = mapped_store
    data = module_of(store, deltas="file")
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in map(lambda batch: data.on_after_batch_transfer(batch, 0), loader):
            for row, position in enumerate(batch.utterances.tolist()):
                seen = batch.features[row, : batch.lengths[row]]
                assert np.allclose(seen, whole[position], atol=1e-4)


def test_deltas_of_a_file_that_has_none_are_one_clear_error(tiny_store):
    with pytest.raises(InputError, match=r"data\.deltas is 'file'.*: use temporal"):
        module_of(tiny_store, deltas="file").train_dataloader()


def test_a_missing_corpus_is_one_clear_error_when_it_is_needed(tmp_path):
    data = PhonemeDataModule(corpus="timit", root=str(tmp_path))
    with pytest.raises(InputError, match=r"data\.corpus is 'timit', .* use spoken or auto"):
        data.train_dataloader()


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_one_clear_error(tiny_store, split):
    number = ["train", "validation", "test"].index(split)
    splits = np.load(tiny_store.path / "splits.npy")
    splits[0][splits[0] == number] = (number + 1) % 3
    np.save(tiny_store.path / "splits.npy", splits)
    data = module_of(tiny_store)
    loaders = {
        "train": [data.train_dataloader],
        "validation": [data.val_dataloader],
        "test": [data.test_dataloader, data.predict_dataloader],
    }
    for name, dataloaders in loaders.items():
        for dataloader in dataloaders:
            if name != split:
                assert len(dataloader()) > 0
                continue
            with pytest.raises(InputError, match=rf"the {split} split .* \(data\.split: utterance"):
                dataloader()


def test_a_scheme_chooses_the_validation_split(tiny_store):
    for scheme in ("utterance", "speaker"):
        data = module_of(tiny_store, split=scheme)
        loader = data.val_dataloader()
        assert np.array_equal(loader.sampler.lengths, tiny_store.lengths[loader.positions])
        drawn = [p for batch in loader for p in batch.utterances.tolist()]
        assert sorted(drawn) == tiny_store.split(scheme, "validation").tolist()


def test_whether_the_test_split_can_be_scored(mapped_store, tiny_store):
    assert module_of(tiny_store).test_has_labels
    assert not module_of(mapped_store[0]).test_has_labels


def test_a_share_of_train_is_the_same_under_every_seed_and_holds_smaller_ones(tiny_store):
    whole, half, tenth = (
        [module_of(tiny_store, train_share=share, seed=seed).positions("train") for seed in (0, 1)]
        for share in (1.0, 0.5, 0.1)
    )
    for first, second in (whole, half, tenth):
        assert first.tolist() == second.tolist() == sorted(first)
    assert set(tenth[0]) < set(half[0]) < set(whole[0])
    assert len(half[0]) == round(len(whole[0]) / 2)
    for name in ("validation", "test"):
        all_of_it = tiny_store.split("utterance", name)
        assert module_of(tiny_store, train_share=0.1).positions(name).tolist() == all_of_it.tolist()
    with pytest.raises(InputError, match=r"data\.train_share is 0"):
        module_of(tiny_store, train_share=0.0)
