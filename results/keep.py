"""Keep what the runs of a model showed: `python results/keep.py NAME RUN [RUN ...]`.

The runs are its fits, a seed each, or a folder of `phoneme-cli ensemble`; a decoded one is kept
as NAME-decoded. Each gets a folder in results/CORPUS/NAME/, without its weights; beside them
stand the curves and the prediction of the first seed, and summary.json. Then the tables and
pictures that are made of all models are made anew. Run `phoneme-cli test --ckpt_path
RUN/checkpoints/best.ckpt` first, and `validate` likewise where the test split has labels.
"""

import csv
import gzip
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import draw
import tables
from facts import corpus_of, folder_of_command, seed_of, summarise

from phoneme_lightning.errors import InputError, run_command
from phoneme_lightning.inference.pictures import plot_curves
from phoneme_lightning.training.curves import read_metrics

__all__ = ["keep"]

HERE = Path(__file__).parent
TEXTS = (
    *("config.yaml", "command.txt", "environment.json", "outcome.json"),
    *("validation.json", "test.json"),
)
COUNTS = ("utterances-validation.csv", "confusion-validation.csv")
ROWS = 200
"""Rows of training that are kept of a metrics.csv, about; all rows of validation are."""


def keep(name: str, runs: Sequence[Path], kept: Path | None = None) -> None:
    """Keep the runs of a model, in place of what was kept under its name.

    Args:
        name: of the model.
        runs: folders, a seed each; the first gives the prediction and the curves.
        kept: folder of all models; that of their corpus beside this program, if None.

    Raises:
        InputError: the name is a path, a run is not whole, or two have the same seed.
    """
    if not re.fullmatch(r"\w[\w-]*", name):
        raise InputError(f"{name} is no name of a model: give NAME RUN [RUN ...], such as crnn")
    seeds = [seed_of(run) for run in runs]
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{name} has runs of the same seed ({seeds}): give one of each")
    summary = summarise(name, runs)
    if not (runs[0] / "prediction.csv").is_file():
        raise InputError(f"{runs[0]} has no prediction.csv: run phoneme-cli test on its best.ckpt")
    into = (kept or HERE / corpus_of(runs[0])) / name
    shutil.rmtree(into, ignore_errors=True)
    for seed, run in zip(seeds, runs, strict=True):
        _copy(run, into / f"s{seed}")
    first = into / f"s{seeds[0]}" / "metrics.csv"
    if first.is_file():
        plot_curves(first, into / "curves.png")
    packed = gzip.compress((runs[0] / "prediction.csv").read_bytes(), mtime=0)
    (into / "prediction.csv.gz").write_bytes(packed)
    (into / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _copy(run: Path, into: Path) -> None:
    """Copy what is small of a run, without what names a machine."""
    into.mkdir(parents=True)
    for file in COUNTS:
        shutil.copyfile(run / file, into / file)
    if (run / "metrics.csv").is_file():
        _thin(run / "metrics.csv", into / "metrics.csv")
    commanded = run if (run / "command.txt").is_file() else run.parent
    home = folder_of_command(commanded)
    for file in TEXTS:
        source = (commanded if file == "command.txt" else run) / file
        if source.is_file():
            text = _nowhere(source.read_text(encoding="utf-8"), home)
            if file == "config.yaml":  # who repeats it has folders of their own
                text = re.sub(r"^  folder: .*$", "  folder: null", text, flags=re.M)
            (into / file).write_text(text, encoding="utf-8")


def _nowhere(text: str, home: str) -> str:
    """Take out of a text where on a machine it was written, and which machine that was."""
    text = re.sub(r", in /\S*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'^ *"host": .*\n', "", text, flags=re.MULTILINE)
    if home:
        text = text.replace(f"{home}/", "")
    return re.sub(r"(?<![\w./-])/(?:[\w.-]+/)+([\w.-]+)", r"\1", text)


def _thin(source: Path, into: Path) -> None:
    """Copy a metrics.csv, with some of the rows of training."""
    rows = read_metrics(source)
    every = max(1, len(rows) // ROWS)
    validated = [any(key.startswith("val/") for key in row) for row in rows]
    with into.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        for number, row in enumerate(rows):
            # With the row before a validation, which says how many frames were seen by then.
            if number % every == 0 or any(validated[number : number + 2]):
                writer.writerow({key: f"{value:.7g}" for key, value in row.items()})


def main() -> None:
    """Keep what the command line names; make tables and pictures anew."""
    if len(sys.argv) == 2:
        raise InputError(f"{sys.argv[1]} has no runs: give NAME RUN [RUN ...], or nothing")
    if len(sys.argv) > 2:
        keep(sys.argv[1], [Path(run) for run in sys.argv[2:]])
    tables.write()
    draw.draw()


if __name__ == "__main__":
    run_command(main)
