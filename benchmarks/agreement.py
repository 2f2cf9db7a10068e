"""Show that what is fast is right: the fast path of each net beside plain fp32.

First each net is given one batch of utterances of many lengths, without dropout, once in plain fp32
and once as `auto` runs it. Shown is the size of the difference over the size of the result (norms
over real frames) of the logits and of all gradients together, in evaluation and in training.

Then a small RNN is fitted to a corpus with several seeds in each precision by phoneme-cli, and its
validation accuracies stand side by side.

    python benchmarks/agreement.py [--store data/libriphone] [--steps 400] [--seeds 3]
"""

import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from fits import choose_device, machine, make_classifier, set_up
from memory import make_random_store
from random_batches import draw_lengths, make_batch
from timing import NETS, finish, options

from phoneme_lightning.training.curves import read_metrics
from phoneme_lightning.training.trainer import PhonemeTrainer, Precision

__all__ = ["difference", "fitted_accuracy", "main"]

SMALL = {
    "RNN": {"hidden_size": 256},
    "CRNN": {"width": 32, "hidden_size": 256},
    "CNN": {},
    "Transformer": {},
}


def run(net: str, precision: Precision, mode: str, frames: int, device: str) -> list[torch.Tensor]:
    """Give the logits of all real frames, (frames, phones), and the gradients, (parameters,)."""
    classifier = (
        make_classifier(net, dropout=0.0, **SMALL[net]).to(device).train(mode == "training")
    )
    trainer = PhonemeTrainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        precision=precision,
        logger=False,
        enable_checkpointing=False,
    )
    classifier.trainer = trainer
    # Of many lengths, so that padding takes its part.
    batch = make_batch(draw_lengths("shuffled", frames, 1)[0], device)
    with trainer.precision_plugin.forward_context():
        logits = classifier(batch)
        classifier.loss(logits, batch).backward()
    gradients = [p.grad.flatten().double() for p in classifier.parameters() if p.grad is not None]
    return [logits[batch.mask].detach().double(), torch.cat(gradients)]


def difference(net: str, mode: str, frames: int, device: str) -> dict[str, Any]:
    """Give a row: how far `auto` is from plain fp32, as shares of the latter's norm."""
    plain = run(net, "32-true", mode, frames, device)
    fast = run(net, "auto", mode, frames, device)
    logits, gradients = (
        float((one - other).norm() / other.norm()) for one, other in zip(fast, plain, strict=True)
    )
    return {"net": net, "mode": mode, "logits": logits, "gradients": gradients}


def fitted_accuracy(
    store: Path, precision: str, seed: int, steps: int, frames: int, threads: int, device: str
) -> float:
    """Fit a small RNN by phoneme-cli, and give its last validation accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "seed_everything": seed,
            "run.folder": f"{folder}/run",
            "run.pictures": "false",
            "data.corpus": store,
            "data.frames_per_batch": frames,
            "model.backbone.init_args.hidden_size": 128,
            "model.warmup_steps": steps // 8,
            "trainer.max_steps": steps,
            "trainer.val_check_interval": steps,
            "trainer.precision": precision,
            "trainer.accelerator": "gpu" if device == "cuda" else "cpu",
            "wandb.mode": "disabled",
        }
        config = Path(__file__).parents[1] / "configs" / "rnn.yaml"
        program = str(Path(sys.executable).with_name("phoneme-cli"))
        done = subprocess.run(
            [program, "fit", f"--config={config}"]
            + [f"--{key}={value}" for key, value in settings.items()],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stdout)
        rows = read_metrics(Path(folder) / "run" / "metrics.csv")
    scores = [row["val/frame_accuracy"] for row in rows if "val/frame_accuracy" in row]
    print(f"{precision}, seed {seed}: {scores[-1]:.4f}", file=sys.stderr)
    return scores[-1]


def compare_fits(store: Path, given: Any) -> dict[str, Any]:
    """Fit with every seed in each precision, and compare the means."""
    fast = machine(given.device)["auto"]
    device = choose_device(given.device)
    runs: dict[str, list[float]] = {fast: [], "32-true": []}
    for seed in range(given.seeds):
        for precision, scores in runs.items():
            what = (given.steps, given.frames_per_batch, given.threads, device)
            scores.append(fitted_accuracy(store, precision, seed, *what))
    found: dict[str, Any] = {"steps": given.steps, "accuracies": runs}
    if fast != "32-true":
        pairs = zip(runs[fast], runs["32-true"], strict=True)
        gains = [mine - plain for mine, plain in pairs]
        found["mean_difference"] = statistics.mean(gains)
        if given.seeds > 1:
            found["standard_error"] = statistics.stdev(gains) / math.sqrt(given.seeds)
            found["spread_over_seeds"] = statistics.stdev(runs["32-true"])
    return found


def main() -> None:
    """Print a row a net and mode, then the fits, and a line of JSON."""
    parser = options(__doc__)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--store", type=Path, default=Path("data/libriphone"))
    parser.add_argument("--steps", type=int, default=400, help="of each fit")
    parser.add_argument("--seeds", type=int, default=3, help="fits in each precision; 0: none")
    parser.add_argument("--frames-per-batch", type=int, default=8_000)
    given = parser.parse_args()
    if given.quick:
        given.steps, given.seeds, given.frames_per_batch = 2, 1, 600
    set_up(given.threads)
    device = choose_device(given.device)
    frames = 100 if given.quick else 4_000
    rows = [
        difference(net, mode, frames, device)
        for net in given.nets
        for mode in ("evaluation", "training")
    ]
    result = {**machine(given.device), "differences": rows}
    with tempfile.TemporaryDirectory() as folder:
        store = given.store.resolve()
        if given.quick:
            store = make_random_store(Path(folder) / "store", 60, 60)
        if given.seeds:
            result["fits"] = compare_fits(store, given)
            for precision, scores in result["fits"]["accuracies"].items():
                print(precision, *(f"{score:.4f}" for score in scores))
    finish(rows, result)


if __name__ == "__main__":
    main()
