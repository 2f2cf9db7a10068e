"""Keep what a run on libriphone showed: `python results/keep.py NAME RUN_FOLDER`.

Copies the run's config, command, metrics and pictures, and its prediction compressed, to
results/libriphone/NAME/, and writes the tables of results/README.md and README.md anew.
Run `phoneme-cli test --ckpt_path RUN_FOLDER/checkpoints/best.ckpt` first.
"""

import gzip
import json
import os
import re
import shutil
import sys
from pathlib import Path

from phoneme_lightning.inference.load import load_classifier
from phoneme_lightning.models.cost import count_parameters
from phoneme_lightning.training.curves import read_metrics

HERE = Path(__file__).parent
TABLE = re.compile(r"(?<=<!-- table -->\n\n).*?(?=\n<!-- end -->)", re.DOTALL)
PICTURES = ("curves.png", "confusion-validation.png")


def keep(name: str, run: Path) -> None:
    """Copy one run; nothing of it names a folder of the machine."""
    folder = HERE / "libriphone" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("config.yaml", "command.txt"):
        text = (run / file).read_text(encoding="utf-8").replace(f"{os.getcwd()}/", "")
        text = re.sub(r", in /\S+", "", text)
        (folder / file).write_text(text, encoding="utf-8")
    for file in ("metrics.csv", *PICTURES):
        shutil.copyfile(run / file, folder / file)
    packed = gzip.compress((run / "prediction.csv").read_bytes(), mtime=0)
    (folder / "prediction.csv.gz").write_bytes(packed)

    classifier, config = load_classifier(run / "checkpoints" / "best.ckpt")
    scores = json.loads((run / "validation.json").read_text(encoding="utf-8"))
    rows = read_metrics(run / "metrics.csv")
    best = max(
        (row for row in rows if "val/frame_accuracy" in row),
        key=lambda row: row["val/frame_accuracy"],
    )
    seen = [
        row["train/frames_seen"]
        for row in rows
        if row["step"] <= best["step"] and "train/frames_seen" in row
    ]
    summary = {
        "model": type(classifier.backbone).__name__,
        "settings": config["model"]["backbone"].get("init_args", {}),
        "parameters": count_parameters(classifier),
        "step": int(best["step"]),
        "frames_seen": int(seen[-1]),
        "precision": config["resolved"]["precision"],
        **{
            key.removeprefix("val/"): value
            for key, value in scores.items()
            if key.startswith("val/")
        },
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def write_tables() -> None:
    """Write the table of results/README.md and README.md anew."""
    kept = [
        (path.parent.name, json.loads(path.read_text())) for path in HERE.glob("*/*/summary.json")
    ]
    rows = [
        f"| [{row['model']}](results/libriphone/{name}/summary.json) "
        f"| {row['parameters'] / 1e6:.2f} M | {row['frames_seen'] / 1e6:.1f} M "
        f"| {row['frame_accuracy']:.4f} |"
        for name, row in sorted(kept, key=lambda item: item[1]["frame_accuracy"])
    ]
    head = ["| model | parameters | frames seen | validation accuracy |", "|---|---|---|---|"]
    table = "\n".join([*head, *rows]) + "\n"
    for page, text in (
        (HERE / "README.md", table.replace("(results/", "(")),
        (HERE.parent / "README.md", table),
    ):
        page.write_text(TABLE.sub(text, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        keep(sys.argv[1], Path(sys.argv[2]))
    write_tables()
