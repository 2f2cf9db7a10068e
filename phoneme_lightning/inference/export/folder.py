"""An exported folder: all that it takes to use a trained net, and to know what it is worth."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from phoneme_lightning.corpora.audio import SAMPLE_RATE, mfcc_options
from phoneme_lightning.corpora.store import read_manifest
from phoneme_lightning.errors import InputError
from phoneme_lightning.inference.export.card import model_card
from phoneme_lightning.inference.export.measured import measured
from phoneme_lightning.inference.export.readme import readme
from phoneme_lightning.inference.export.weights import ABOUT, WEIGHTS, net_settings, write_weights
from phoneme_lightning.inference.load import check_hears_recordings, load_classifier
from phoneme_lightning.training.record import read_record
from phoneme_lightning.training.run import run_folder_of, say

__all__ = ["export"]

FORMAT = 1
GRAPH, DECODER, CARD, README = "model.onnx", "phones.json", "MODEL_CARD.md", "README.md"
LIBRARIES = {True: ("safetensors", "onnx", "onnxscript", "onnxruntime"), False: ("safetensors",)}
"""With the graph, and without."""


def export(checkpoint: str, *, out: str | None = None, onnx: bool = True) -> Path:
    """Write a trained net as a folder that others can use without this package.

    Args:
        checkpoint: a .ckpt file of a fit.
        out: the folder, which must not be there yet; `export` in the run's folder, if None.
        onnx: write the ONNX graph, and compare it with PyTorch.

    Returns:
        The folder; it is whole, or not there.

    Raises:
        InputError: there is no such checkpoint, it needs what no recording holds, a library is
            missing, the folder is there or cannot be made, or the graph does not agree with
            PyTorch.
    """
    for library in LIBRARIES[onnx]:
        if find_spec(library) is None:
            raise InputError(f"{library} is not installed: pip install 'phoneme-lightning[export]'")
    record = read_record(checkpoint)
    check_hears_recordings(checkpoint, record["config"])
    run = run_folder_of(checkpoint)
    beside = Path(checkpoint).parent
    folder = Path(out) if out else (beside.parent if run else beside) / "export"
    if folder.exists():
        raise InputError(f"--out is {folder}, which is there already: give another, or remove it")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"--out is {folder}, which cannot be made ({error.strerror}): give another"
        ) from error
    try:
        _fill(partial, Path(checkpoint), run, record, onnx)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    say(f"exported: {folder}")
    return folder


def _fill(
    folder: Path, checkpoint: Path, run: Path | None, record: dict[str, Any], onnx: bool
) -> None:
    """Write all files."""
    classifier, config = load_classifier(checkpoint)
    write_weights(classifier, folder / WEIGHTS)
    deltas, mfcc = config["data"]["deltas"], mfcc_options().as_dict()
    parts = (classifier.backbone, classifier.head)
    about: dict[str, Any] = {
        "format": FORMAT,
        "version": record["version"],
        "step": record["step"],
        "phones": record["phones"],
        "scored_as": record.get("scored_as", {}),
        "features": {
            "sample_rate": SAMPLE_RATE,
            "scale": 32768,
            "mfcc": mfcc,
            "deltas": deltas,
            "normalisation": "after the deltas, each coefficient of each utterance to mean 0 and "
            "standard deviation 1 (N - 1); one that does not vary to 0",
        },
        "net": net_settings(classifier, config),
        "parameters": sum(x.numel() for part in parts for x in part.parameters()),
        "split": config["data"]["split"],
        "train_share": config["data"].get("train_share", 1.0),
    }
    if onnx:
        from phoneme_lightning.inference.export.graph import FromCepstra, write_onnx
        from phoneme_lightning.inference.export.parity import LARGEST_DIFFERENCE, check_parity

        net, coefficients = FromCepstra(classifier, deltas).eval(), mfcc["num_ceps"]
        say("tracing the graph")
        write_onnx(net, coefficients, folder / GRAPH)
        difference = check_parity(net, folder / GRAPH, coefficients)
        say(f"{GRAPH}: probabilities differ from PyTorch's by {difference:.1e} at most")
        about["parity"] = {"largest_difference": difference, "allowed": LARGEST_DIFFERENCE}
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    if (checkpoint.with_name(DECODER)).is_file():
        shutil.copy(checkpoint.with_name(DECODER), folder)
    corpus, manifest = _corpus(record)
    scored = dict.fromkeys(about["scored_as"].get(phone, phone) for phone in about["phones"])
    scores = measured(run, checkpoint, record["step"], tuple(scored))
    (folder / CARD).write_text(model_card(about, corpus, manifest, scores), encoding="utf-8")
    names = {file.name for file in folder.iterdir()}
    (folder / README).write_text(readme(names), encoding="utf-8")


def _corpus(record: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """Give the corpus's name, and the manifest of its store where that is at hand."""
    name = record["resolved"]["corpus"]
    for place in (record.get("store", name), Path(record["config"]["data"]["root"]) / name, name):
        try:
            manifest = read_manifest(Path(place))
        except InputError:
            continue
        return str(manifest["corpus"]), manifest
    return Path(name).name, None
