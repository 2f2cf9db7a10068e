"""Show how long a round's page takes from its folder, and how large it gets.

python benchmarks/report.py [--trials 1000] [--validations 50]
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

from phoneme_lightning.sweep.design import design, write_design
from phoneme_lightning.sweep.findings.diagnose import diagnose
from phoneme_lightning.sweep.findings.evidence import read_evidence
from phoneme_lightning.sweep.folder import RoundFolder
from phoneme_lightning.sweep.report.write import write_report
from phoneme_lightning.sweep.round import Budget, Goal, Round, Scientific, Training
from phoneme_lightning.sweep.round_file import dump_round
from phoneme_lightning.sweep.spaces import Log
from phoneme_lightning.training.outcome import Outcome, write_outcome

__all__ = ["main"]

LR, DECAY = "model.optimizer.init_args.lr", "model.optimizer.init_args.weight_decay"
ROWS = 10
"""Rows of training between two validations."""

HEAD = "step,train/loss,train/grad_norm,train/learning_rate,val/loss,val/frame_accuracy\n"


def make_round(folder: RoundFolder, trials: int, validations: int) -> None:
    """Write the folder of a finished round of two arms; every trial has curves of its own."""
    steps = 100 * validations
    round = Round(
        Goal("Which schedule is better?"),
        ["configs/rnn.yaml"],
        Budget(trials // 2),
        Training(steps, 100),
        name=folder.name,
        scientific={"model.schedule": Scientific(["constant", "cosine"])},
        nuisance={LR: Log(1e-4, 1e-1), DECAY: Log(1e-4, 1e-1)},
    )
    folder.trials.mkdir(parents=True)
    folder.round.write_text(dump_round(round), encoding="utf-8")
    rows = design(round)
    write_design(folder.design, rows)
    for row in rows:
        rate = row.values[LR]
        end = 0.7 - 0.05 * math.log10(rate / 1e-2) ** 2
        lines = [HEAD]
        for number in range(1, ROWS * validations + 1):
            share = number / (ROWS * validations)
            loss = 0.8 + 2 * math.exp(-8 * share) + 0.05 * math.sin(7.0 * number + rate)
            norm = 0.5 + 0.3 * math.cos(11.0 * number + rate) ** 2
            step = number * 100 // ROWS
            lines.append(f"{step},{loss:.7g},{norm:.7g},{rate:.7g},,\n")
            if number % ROWS == 0:
                accuracy = end * (1 - math.exp(-6 * share)) + 0.002 * math.sin(5.0 * number)
                lines.append(f"{step},,,,{1.2 - end * share:.7g},{accuracy:.7g}\n")
        run = folder.attempt(row.trial, 1)
        run.mkdir(parents=True)
        (run / "metrics.csv").write_text("".join(lines), encoding="utf-8")
        outcome = Outcome("infeasible", "nan") if rate > 5e-2 else Outcome("completed", step=steps)
        write_outcome(run, outcome)


def main() -> None:
    """Print the seconds of each part and the size, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="trials in all")
    parser.add_argument("--validations", type=int, default=50, help="of a trial")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = RoundFolder(Path(place) / "made")
        make_round(folder, arguments.trials, arguments.validations)
        start = time.perf_counter()
        evidence = read_evidence(folder)
        read = time.perf_counter()
        findings = diagnose(evidence)
        diagnosed = time.perf_counter()
        page = write_report(folder, evidence, findings)
        end = time.perf_counter()
        size = page.stat().st_size
    print(f"{len(evidence.trials)} trials of {arguments.validations} validations")
    told = {"trials": len(evidence.trials), "validations": arguments.validations}
    marks = {"read": read - start, "findings": diagnosed - read, "page": end - diagnosed}
    seconds = {part: round(taken, 2) for part, taken in marks.items()}
    print(", ".join(f"{part} {taken} s" for part, taken in seconds.items()), f"{size / 1e6:.1f} MB")
    print(json.dumps({**told, "seconds": seconds, "megabytes": round(size / 1e6, 2)}))


if __name__ == "__main__":
    main()
