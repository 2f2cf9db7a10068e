"""Show how long a fit takes, from the start of the process to a validation accuracy.

`phoneme-cli fit` runs with the configs given, until it validates at the target or its time is up.
With --plain, plain_lightning.py then trains the same net with the same settings. How often a fit
validates limits how finely this measures: --trainer.val_check_interval. Whatever this program
does not know goes to phoneme-cli.

    python benchmarks/speed_run.py --config configs/rnn.yaml --target 0.75 --plain
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from memory import make_random_store
from timing import finish, options

from phoneme_lightning.training.curves import read_metrics

__all__ = ["main", "time_to"]

ACCURACIES = (0.60, 0.65, 0.70, 0.75)


def time_to(
    command: list[str], folder: Path, accuracies: list[float], limit_s: float, threads: int
) -> dict[str, Any]:
    """Run a fit until it reaches the last of these accuracies.

    Args:
        command: starts it.
        folder: where its metrics.csv will stand.
        accuracies: of the validation, rising.
        limit_s: when to stop it anyway.
        threads: of the CPU.

    Returns:
        "reached": accuracy -> seconds from the start of the process, and step; "validations": step
        and accuracy of each; "seconds" in all.
    """
    log = folder.with_suffix(".txt")
    reached: dict[str, dict[str, float]] = {}
    validations: list[tuple[float, float]] = []
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with log.open("w", encoding="utf-8") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            over = False
            while len(reached) < len(accuracies) and not over:
                time.sleep(0.1)
                seconds = time.perf_counter() - start
                # Asked before the file is read, so that its last row is seen.
                over = process.poll() is not None or seconds > limit_s
                rows = read_metrics(folder / "metrics.csv")
                name = "val/frame_accuracy"
                validations = [(row["step"], row[name]) for row in rows if name in row]
                for step, accuracy in validations:
                    for target in accuracies:
                        if accuracy >= target:
                            first = {"seconds": round(seconds, 2), "step": step}
                            reached.setdefault(f"{target:.2f}", first)
        finally:
            code = process.poll()
            process.terminate()
            process.wait(60)
    if code:
        raise SystemExit(log.read_text(encoding="utf-8"))
    return {"reached": reached, "validations": validations, "seconds": round(seconds, 2)}


def main() -> None:
    """Print the seconds to each accuracy, and a line of JSON."""
    parser = options(__doc__)
    parser.add_argument("--config", action="append", help="of phoneme-cli; configs/rnn.yaml")
    parser.add_argument("--store", type=Path, default=Path("data/libriphone"))
    parser.add_argument("--target", type=float, default=0.75, help="accuracy at which to stop")
    parser.add_argument("--limit-minutes", type=float, default=20.0, help="of each fit")
    parser.add_argument("--plain", action="store_true", help="time the plain script too")
    given, others = parser.parse_known_args()
    configs = given.config or [Path(__file__).parents[1] / "configs" / "rnn.yaml"]
    if given.device != "auto":
        others.append(f"--trainer.accelerator={'gpu' if given.device == 'cuda' else 'cpu'}")
    with tempfile.TemporaryDirectory() as name:
        folder, store = Path(name), given.store.resolve()
        if given.quick:
            store, given.target = make_random_store(folder / "store", 60, 60), 0.0
            others += ["--trainer.max_steps=2", "--trainer.val_check_interval=1"]
            others += ["--model.backbone.init_args.hidden_size=32"]
        program = str(Path(sys.executable).with_name("phoneme-cli"))
        commands = {
            "ours": [
                *(program, "fit", *(f"--config={config}" for config in configs)),
                *(f"--run.folder={folder / 'ours'}", f"--data.corpus={store}"),
                *("--run.pictures=false", "--wandb.mode=disabled", *others),
            ]
        }
        if given.plain:
            script = str(Path(__file__).with_name("plain_lightning.py"))
            config = str(folder / "ours" / "config.yaml")
            commands["plain"] = [sys.executable, script, config, str(folder / "plain")]
        accuracies = [x for x in ACCURACIES if x < given.target] + [given.target]
        limit_s = 60 * given.limit_minutes
        found = {
            side: time_to(command, folder / side, accuracies, limit_s, given.threads)
            for side, command in commands.items()
        }
    rows = []
    for target in accuracies:
        seen = {side: one["reached"].get(f"{target:.2f}") for side, one in found.items()}
        row: dict[str, Any] = {"accuracy": target}
        for side, first in seen.items():
            row |= {
                f"{side} s": first and first["seconds"],
                f"{side} step": first and first["step"],
            }
        both = len(seen) == 2 and all(seen.values())
        rows.append({**row, "ratio": row["plain s"] / row["ours s"] if both else None})
    finish(rows, {"threads": given.threads, "target": given.target, "rows": rows, **found})


if __name__ == "__main__":
    main()
