"""The model card: what a net learnt from, how good it is, and what it is not for."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from phoneme_lightning.inference.export.measured import Measured

__all__ = ["model_card"]

LICENCES = {
    "spoken": "none: it is synthetic, spoken by espeak-ng (a program under GPL-3.0-or-later).",
    "libriphone": "its speech is LibriSpeech's, CC BY 4.0: name Panayotov et al. (2015). The "
    "course that labelled it names no licence.",
    "librispeech": "CC BY 4.0: name Panayotov et al. (2015).",
    "timit": "that of the Linguistic Data Consortium (LDC93S1), which does not let the speech be "
    "passed on; NLTK's sample of it is for non-commercial use.",
}
"""Corpus -> the licence, where the corpus is of that kind whoever prepared it."""
UNKNOWN_LICENCE = "not known here: ask whoever made the corpus before passing the net on."

ORIGINS = {
    "spoken": "It learnt from synthetic voices and has never heard a person.",
    "libriphone": "It learnt from read English of audiobooks, recorded with care.",
    "librispeech": "It learnt from read English of audiobooks, recorded with care.",
    "timit": "It learnt from single read sentences of American English, recorded in a booth.",
}


def model_card(
    about: dict[str, Any], corpus: str, manifest: dict[str, Any] | None, measured: Measured
) -> str:
    """Write the card, as Markdown.

    Args:
        about: what model.json holds.
        corpus: the corpus's name.
        manifest: of the frame store; None where the store is not at hand.
        measured: how good the net is.
    """
    scored_as = about["scored_as"]
    scored = list(dict.fromkeys(scored_as.get(phone, phone) for phone in about["phones"]))
    return (
        "\n\n".join(
            [
                "# Model card",
                _what(about, len(scored)),
                "## Data",
                _data(about, corpus, manifest),
                "## Scores",
                _scores(measured),
                "## Phones",
                _phones(scored, measured),
                "## Limits",
                _limits(corpus),
            ]
        ).rstrip()
        + "\n"
    )


def _what(about: dict[str, Any], scored: int) -> str:
    kind = about["net"]["backbone"]["class_path"].rpartition(".")[2]
    classes = f"{len(about['phones'])} phones"
    if about["scored_as"]:
        classes += f", scored as {scored}"
    return (
        f"A classifier that gives each frame of speech, 25 ms long and every 10 ms, the "
        f"probabilities of {classes}. Backbone: {kind}. It has "
        f"{about['parameters']:,} parameters, was trained for {about['step']:,} steps by "
        f"phoneme-lightning {about['version']}, and calculates in fp32."
    )


def _data(about: dict[str, Any], corpus: str, manifest: dict[str, Any] | None) -> str:
    lines = [f"* Corpus: {corpus}, split by {about['split']}."]
    if manifest:
        counts = manifest["counts"]
        shares = counts.get("splits", {}).get(about["split"], {})
        parts = ", ".join(f"{name} {number:,}" for name, number in shares.items())
        frames = counts["frames"]
        lines.append(
            f"* Utterances: {counts['utterances']:,} ({parts}), {frames:,} frames, "
            f"{frames / 360_000:.1f} hours."
        )
        if counts.get("pseudo_labelled"):
            lines.append(
                f"* Of them {counts['pseudo_labelled']:,} have labels that another net predicted."
            )
    if about["train_share"] < 1:
        lines.append(f"* Of train it learnt from a share of {about['train_share']:g}.")
    said = manifest["settings"].get("licence") if manifest else None
    licence = f"{said} (as who prepared it says)." if said else LICENCES.get(corpus)
    if licence and not manifest:
        licence += " (The store was not at hand: this goes by its name.)"
    lines.append(f"* Licence of the data: {licence or UNKNOWN_LICENCE}")
    return "\n".join(lines)


def _scores(measured: Measured) -> str:
    columns = {"validation": measured.validation, "test": measured.test}
    columns = {name: scores for name, scores in columns.items() if scores}
    if not columns:
        return (
            "None stood beside the checkpoint. `phoneme-cli validate --ckpt_path CHECKPOINT` "
            "measures them; export again after it."
        )
    rows = [["", *columns]]
    for name in next(iter(columns.values())):
        cells = [f"{scores[name]:.4f}" if name in scores else "" for scores in columns.values()]
        rows.append([name.replace("_", " "), *cells])
    return _table(rows) + (
        "\n\nOf single frames, not decoded. What was chosen by validation, such as this checkpoint "
        "among those of its fit, flatters that column."
    )


def _phones(scored: Sequence[str], measured: Measured) -> str:
    counts = measured.confusion
    if counts is not None and len(counts) == len(scored):
        return _table(
            [
                ["phone", "frames", "found", "right where said", "most taken for"],
                *(_phone(scored, counts, place) for place in range(len(scored))),
            ]
        ) + (
            "\n\nOf the validation split: the share of a phone's frames that were found, and of "
            "those said to be it that were."
        )
    if measured.by_phone:
        rows = [[name, _share(x)] for name, x in measured.by_phone.items()]
        return _table([["phone", "found"], *rows]) + (
            "\n\nOf the test split: the share of a phone's frames that were found."
        )
    return "No table of single phones stood beside the checkpoint: see Scores. The phones: " + (
        ", ".join(scored) + "."
    )


def _phone(scored: Sequence[str], counts: np.ndarray, place: int) -> list[str]:
    """Give a phone's row."""
    frames, said, right = counts[place].sum(), counts[:, place].sum(), counts[place, place]
    wrong = counts[place].copy()
    wrong[place] = 0
    other = scored[int(wrong.argmax())] if wrong.any() else "none"
    found, precision = (float(right / n) if n else None for n in (frames, said))
    return [scored[place], f"{frames:,}", _share(found), _share(precision), other]


def _share(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _limits(corpus: str) -> str:
    origin = ORIGINS.get(corpus, "It knows speech of the kind in its corpus.")
    return "\n".join(
        [
            f"* {origin} Other languages, accents, children, noise, distance and telephones were "
            "not tried: measure before you rely on it.",
            "* It says which phone a frame is likeliest to be of. It is no judge of how well "
            "somebody speaks, and its probabilities are not calibrated.",
            "* An utterance is normalised over its whole length and heard from both ends: nothing "
            "can be said before it is over.",
            "* Sound at another rate than 16 kHz has to be resampled, several channels made one.",
        ]
    )
