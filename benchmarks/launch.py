"""Show how soon a trial trains: forked from a process that has everything loaded, or started plain.

What is measured, for each way and with W&B off and offline, is the time from the launch to the
first training batch, of a small recurrent net on the built-in corpus, a thread each. The first
trial of the fork server also waits for its warm-up, and is shown by itself.

    python benchmarks/launch.py [--times 5] [--corpus data/spoken]
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from phoneme_lightning.corpora.choose import choose_store
from phoneme_lightning.sweep.launch import Job, Launcher, make_launcher

__all__ = ["WriteTime", "main", "measure"]


class WriteTime(Callback):
    """Write down when the first training batch was ready.

    Args:
        file: where to.
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, index: int) -> None:
        """Write the seconds since 1970."""
        if not self.file.exists():
            self.file.write_text(str(time.time()), encoding="utf-8")


def measure(launcher: Launcher, corpus: Path, wandb: str) -> dict[str, float]:
    """Launch a fit of two steps.

    Args:
        launcher: starts it.
        corpus: its frame store.
        wandb: mode of W&B.

    Returns:
        Seconds from the launch to the first training batch, and to the process's end.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        mark = folder / "mark"
        settings = {
            "data.corpus": corpus,
            "data.frames_per_batch": 3000,
            "model.backbone": "phoneme_lightning.models.RNN",
            "model.backbone.init_args.hidden_size": 128,
            "trainer.accelerator": "cpu",
            "trainer.max_steps": 2,
            "trainer.val_check_interval": 2,
            "trainer.limit_val_batches": 1,
            "trainer.callbacks": "launch.WriteTime",
            "trainer.callbacks.init_args.file": mark,
            "run.folder": folder / "run",
            "wandb.mode": wandb,
        }
        argv = ["phoneme-cli", "fit", *(f"--{key}={value}" for key, value in settings.items())]
        begun = time.time()
        handle = launcher.launch(Job(argv, folder / "output.txt", folder))
        code = handle.wait()
        ended = time.time()
        if code:
            raise SystemExit((folder / "output.txt").read_text("utf-8"))
        first = float(mark.read_text("utf-8"))
    return {"first_batch": round(first - begun, 3), "end": round(ended - begun, 3)}


def main() -> None:
    """Print a row a way, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="that each is measured")
    parser.add_argument("--corpus", type=Path, default=Path("data/spoken"), help="its frame store")
    given = parser.parse_args()
    corpus = choose_store(given.corpus.name, given.corpus.parent).resolve()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # a plain process looks here for `launch`
    result: dict[str, Any] = {}
    print("                 W&B       seconds to the first batch: median, least, most")
    for kind in ("fork", "subprocess"):
        launcher = make_launcher(kind)
        if kind == "fork":
            warm_up = measure(launcher, corpus, "disabled")["first_batch"]
            result["fork_with_warm_up"] = warm_up
            print(f"fork, warming up disabled  {warm_up:6.2f}")
        for wandb in ("disabled", "offline"):
            seen = [measure(launcher, corpus, wandb) for _ in range(given.times)]
            firsts = [one["first_batch"] for one in seen]
            median = statistics.median(firsts)
            print(f"{kind:16} {wandb:8}  {median:6.2f} {min(firsts):6.2f} {max(firsts):6.2f}")
            result[f"{kind}_{wandb}"] = {
                "first_batch_seconds": {"median": median, "all": firsts},
                "whole_seconds": {"median": statistics.median(one["end"] for one in seen)},
            }
        launcher.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
