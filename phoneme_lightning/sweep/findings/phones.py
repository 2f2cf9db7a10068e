"""What the accuracy of the best trial is made of: silence, confusions, phones too rare to judge."""

import numpy as np

from phoneme_lightning.inference.confusion_file import Confusion
from phoneme_lightning.inference.pictures import top_confusions
from phoneme_lightning.phones import silence_in
from phoneme_lightning.sweep.findings.evidence import Evidence
from phoneme_lightning.sweep.findings.finding import Finding
from phoneme_lightning.sweep.findings.statistics import wilson
from phoneme_lightning.sweep.leaderboard import ranked

__all__ = ["phones"]

WIDE = 0.2
"""Width of an interval of an accuracy from which on the accuracy cannot be told."""
NAMED = 3


def phones(evidence: Evidence) -> list[Finding]:
    """Look at what the best trial confused at its last validation.

    Counts stand beside every rate: of a phone with 20 frames, 0.05 is one frame (playbook, H2). The
    intervals are Wilson's and take frames for independent; frames of one phone in a row are not, so
    the truth is wider.

    Args:
        evidence: the round.
    """
    best = ranked(evidence.trials, evidence.round.objective)[:1]
    confusion = evidence.confusion
    if not best or confusion is None or not confusion.counts.sum():
        why = f"{best[0].trial}, the best trial, left no" if best else "No trial has left a"
        sentence = f"{why} confusion-validation.csv, so how it does on each phone is not known."
        action = f"phoneme-sweep repro {evidence.round.name} best"
        return [
            Finding("phones", "unknown", sentence, action=action if best else None, playbook="H2")
        ]
    trial = best[0].trial
    return [
        _silence(trial, confusion),
        *_confusions(trial, confusion, evidence.round.name),
        _rare(trial, confusion),
    ]


def _silence(trial: str, confusion: Confusion) -> Finding:
    counts, silence = confusion.counts, silence_in(confusion.phones)
    frames, right = int(counts.sum()), int(counts.trace())
    silent = 0 if silence is None else int(counts[silence].sum())
    silent_right = 0 if silence is None else int(counts[silence, silence])
    spoken, spoken_right = frames - silent, right - silent_right
    numbers = {
        "trial": trial,
        "frames": frames,
        "right": right,
        "accuracy": right / frames,
        "silence_frames": silent,
        "silence_right": silent_right,
        "silence_share": silent / frames,
        "accuracy_without_silence": spoken_right / spoken if spoken else None,
    }
    sentence = f"{trial} gets {right:,} of {frames:,} frames right, {_percent(right, frames)}. "
    if silent and spoken:
        sentence += (
            f"{_percent(silent, frames)} of them are silence, of which it gets "
            f"{_percent(silent_right, silent)}; without silence it gets {spoken_right:,} of "
            f"{spoken:,}, {_percent(spoken_right, spoken)}."
        )
    elif silence is None:
        sentence += "None of its phones has a name by which silence is known."
    else:
        sentence += "None of them is silence." if spoken else "All of them are silence."
    return Finding("phones", "info", sentence, numbers, "confusion", playbook="H2")


def _confusions(trial: str, confusion: Confusion, name: str) -> list[Finding]:
    counts, phones = confusion.counts, confusion.phones
    mistakes = int(counts.sum() - counts.trace())
    top = [
        (true, predicted, int(counts[phones.index(true), phones.index(predicted)]))
        for true, predicted, _ in top_confusions(counts, NAMED, phones)
    ]
    if not top:
        return []
    told = ", ".join(f"{true} for {predicted} ({frames:,})" for true, predicted, frames in top)
    sentence = (
        f"What costs {trial} most frames is to take {told}; "
        f"{_percent(sum(frames for *_, frames in top), mistakes)} of its mistakes."
    )
    numbers = {
        "trial": trial,
        "mistakes": mistakes,
        "top": {f"{true} for {predicted}": frames for true, predicted, frames in top},
    }
    action = f"phoneme-sweep report {name}"
    return [Finding("phones", "info", sentence, numbers, "confusion", action, playbook="H2")]


def _rare(trial: str, confusion: Confusion) -> Finding:
    counts = confusion.counts
    table: dict[str, dict[str, float]] = {}
    for place in np.argsort(counts.sum(axis=1), kind="stable").tolist():
        right, frames = int(counts[place, place]), int(counts[place].sum())
        low, high = wilson(right, frames)
        table[confusion.phones[place]] = {
            "frames": frames,
            "right": right,
            "low": low,
            "high": high,
        }
    rare = {phone: one for phone, one in table.items() if one["high"] - one["low"] > WIDE}
    numbers = {"trial": trial, "phones": rare or table}
    if not rare:
        sentence = "Every phone of validation has frames enough for its accuracy to be told."
        return Finding("phones", "ok", sentence, numbers, "confusion", playbook="H2")
    told = [
        f"{phone} ({one['right']} of {one['frames']} right)" if one["frames"] else f"{phone} (none)"
        for phone, one in rare.items()
    ]
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    sentence = (
        f"Validation has too few frames of {', '.join(told[:NAMED])}{more} to tell how well "
        f"{trial} knows them: look at counts there, not at rates."
    )
    return Finding("phones", "info", sentence, numbers, "confusion", playbook="H2")


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}"
