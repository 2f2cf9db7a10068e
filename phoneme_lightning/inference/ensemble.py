"""Several nets as one, decoded if asked: validation scored, the test split predicted."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from phoneme_lightning.data.frames import Frames
from phoneme_lightning.data.module import PhonemeDataModule
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.cross_fit import cross_fit
from phoneme_lightning.inference.decoding import learn_phones
from phoneme_lightning.inference.members import Member, check_members, log_probabilities
from phoneme_lightning.inference.reports import report_test, report_validation, write_prediction
from phoneme_lightning.inference.saved_decoder import FILE, SavedDecoder
from phoneme_lightning.inference.viterbi import viterbi
from phoneme_lightning.training.environment import git_state
from phoneme_lightning.training.metrics import PhoneMetrics
from phoneme_lightning.training.run import (
    RunSettings,
    log_to,
    new_run_folder,
    record_command,
    say,
)
from phoneme_lightning.training.utterance_file import write_utterances

__all__ = ["ensemble"]

SPLITS = ("validation", "test")
UTTERANCES_AT_ONCE = 64

Paths = dict[int, np.ndarray]
"""Position in the store -> classes, (frames,), uint8."""


def ensemble(
    checkpoints: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    decode: bool = False,
    out: str | None = None,
    root: str | None = None,
) -> Path:
    """Average nets; score validation, predict the test split, score it where it has labels.

    The mean is that of the classes' log-probabilities at each frame.

    Args:
        checkpoints: .ckpt files of fits on one corpus with one validation split; one is enough.
        weights: of each net in the mean; equal, if None.
        decode: find the likeliest path of each utterance too; its files go to `decoded` inside the
            folder, and what decodes recordings, beside the checkpoint as well if there is one;
            but not where decoding makes validation worse.
        out: the folder; one of its own under runs/ensemble, if None.
        root: folder of the frame stores; that of each fit, if None.

    Returns:
        The folder.

    Raises:
        InputError: a checkpoint or its corpus is missing, or they do not go together.
    """
    if out and (Path(out) / "validation.json").exists():
        raise InputError(f"--out is {out}, where scores are already: give another")
    shares = _shares(checkpoints, weights)
    members = [Member.open(checkpoint, root) for checkpoint in checkpoints]
    check_members(members)
    about = {
        "checkpoints": list(checkpoints),
        "weights": shares,
        "precision": ", ".join(dict.fromkeys(member.precision for member in members)),
    }
    folder = new_run_folder(RunSettings(name="ensemble", folder=out), about)
    log_to(folder)
    record_command(folder, str(git_state() or "not in a git checkout"))
    say(f"folder: {folder}")
    data = members[0].data
    means = _average(members, shares)
    heard = {name: _by_utterance(data, name, mean) for name, mean in means.items()}
    best = {
        position: frames.argmax(axis=1).astype(np.uint8)
        for name in SPLITS
        for position, frames in heard[name].items()
    }
    before = _leave(folder, data, best, about)
    if decode:
        paths, how, saved = _decode(data, heard, tuple(member.step for member in members))
        (folder / "decoded").mkdir(exist_ok=True)
        after = _leave(folder / "decoded", data, paths, about | how)
        places = [folder / "decoded"]
        if len(checkpoints) == 1:
            places.append(Path(checkpoints[0]).parent)
        for place in places:
            if saved:
                saved.write(place)
            else:
                (place / FILE).unlink(missing_ok=True)
        if not saved:
            changes = (
                f"{words} {before[name]:.4f} -> {after[name]:.4f}"
                for words, name in (
                    ("frame accuracy", "val/frame_accuracy"),
                    ("phone error rate", "val/phone_error_rate"),
                )
            )
            say(f"decoding makes validation worse ({', '.join(changes)}): no {FILE} is left")
    return folder


def _shares(checkpoints: Sequence[str], weights: Sequence[float] | None) -> list[float]:
    given = list(weights or [1.0] * len(checkpoints))
    if len(given) != len(checkpoints):
        raise InputError(
            f"--weight gives {len(given)} numbers for {len(checkpoints)} checkpoints: give one each"
        )
    files = [Path(checkpoint).resolve() for checkpoint in checkpoints]
    if len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise InputError(f"{twice} is named twice: name it once; --weight says what it counts")
    if not all(np.isfinite(given)) or min(given) < 0 or sum(given) == 0:
        raise InputError(f"--weight is {given}: give numbers from 0 up, not all 0")
    return [weight / sum(given) for weight in given]


def _average(members: Sequence[Member], shares: Sequence[float]) -> dict[str, np.ndarray]:
    """Give the mean log-probabilities of each split, (frames, classes), float32."""
    means: list[np.ndarray] = []
    for number, (member, share) in enumerate(zip(members, shares, strict=True), start=1):
        say(f"net {number} of {len(members)}: {member.checkpoint}, {member.precision}")
        heard = [share * frames for frames in log_probabilities(member, SPLITS)]
        means = [a + b for a, b in zip(means, heard, strict=True)] if means else heard
    logs = (a - np.logaddexp.reduce(a, axis=1, keepdims=True) for a in means)
    return dict(zip(SPLITS, logs, strict=True))


def _by_utterance(data: PhonemeDataModule, name: str, frames: np.ndarray) -> Paths:
    """Cut a split's frames into its utterances, by position in the store."""
    positions = data.positions(name)
    parts = np.split(frames, data.store.lengths[positions].cumsum()[:-1])
    return dict(zip(positions.tolist(), parts, strict=True))


def _decode(
    data: PhonemeDataModule, heard: dict[str, Paths], steps: tuple[int, ...]
) -> tuple[Paths, dict[str, Any], SavedDecoder | None]:
    """Give the paths of both splits, what was chosen on what, and the choice for other speech.

    There is none of the last where it makes validation worse.
    """
    store = data.store
    phones = learn_phones(store, data.positions("train"))
    logs = {name: list(parts.values()) for name, parts in heard.items()}
    positions, speakers = list(heard["validation"]), store.speakers
    labels = [np.asarray(store.labels[slice(*store.offsets[p : p + 2])]) for p in positions]
    whose = [speakers[p] for p in positions]
    fit = cross_fit(logs["validation"], labels, whose, phones, store.fold)
    paths = dict(zip(positions, fit.paths, strict=True))
    paths |= zip(heard["test"], viterbi(logs["test"], phones, fit.of_all), strict=True)
    say(
        f"decoder: transition weight {fit.of_all.transition_weight:g}, "
        f"prior weight {fit.of_all.prior_weight:g}, shortest runs of {phones.shortest.min()} to "
        f"{phones.shortest.max()} frames"
    )
    halves = [
        {
            "utterances": int(scored.sum()),
            "speakers": len({speakers[p] for p, own in zip(positions, scored, strict=True) if own}),
            "chosen_on_the_other_half": asdict(decoder),
        }
        for scored, decoder in zip((~fit.in_first, fit.in_first), fit.of_halves, strict=True)
    ]
    shortest = dict(zip(store.phones, phones.shortest.tolist(), strict=True))
    how = {"shortest_run_frames": shortest, "test": asdict(fit.of_all), "validation": halves}
    saved = None if fit.is_worse else SavedDecoder(store.phones, phones, fit.of_all, steps)
    return paths, {"decoder": how}, saved


def _leave(
    folder: Path, data: PhonemeDataModule, paths: Paths, about: dict[str, Any]
) -> dict[str, float]:
    """Leave in a folder what a run's test leaves: scores, confusions, the prediction.

    Returns:
        The scores of validation.
    """
    metrics, store = _score(data, "validation", paths), data.store
    scores = {f"val/{name}": float(value) for name, value in metrics.compute().items()}
    ids = store.ids
    rows = metrics.utterances.tolist()
    write_utterances(folder, ((ids[row], frames, right) for row, frames, right in rows))
    report_validation(folder, store, metrics, about, scores)
    write_prediction(folder, data, paths)
    if data.test_has_labels:
        tested = _score(data, "test", paths)
        names, precision = ", ".join(about["checkpoints"]), about["precision"]
        report_test(folder, data, paths, tested, checkpoint=names, precision=precision)
    return scores


def _score(data: PhonemeDataModule, name: str, paths: Paths) -> PhoneMetrics:
    """Compare a split's paths with its labels."""
    frames = Frames(data.store)
    metrics = PhoneMetrics(len(data.store.phones), torch.from_numpy(data.store.fold))
    positions = data.positions(name)
    for begin in range(0, len(positions), UTTERANCES_AT_ONCE):
        batch = frames.gather(positions[begin : begin + UTTERANCES_AT_ONCE])
        classes = torch.zeros_like(batch.labels)
        for row, position in enumerate(batch.utterances.tolist()):
            path = paths[position]
            classes[row, : len(path)] = torch.from_numpy(path)
        metrics.update(classes, batch)
    return metrics
