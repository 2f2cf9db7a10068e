"""Count what each net must do a frame, measure what the machine can do, and show where we stand.

Counted, at the default sizes and utterances of 617 frames (the mean of libriphone): operations of
the forward pass, by part; training takes three times as many. Estimated: the bytes that a training
step moves (operators.py says how). Measured: this machine's rate in matrix products, of a large one
and of those that one step of an LSTM makes, (utterances, 512) x (512, 2048), its memory bandwidth,
and how fast phoneme-cli's classifiers train over utterances of 600 frames.

The floor is the time a frame of the operations alone. Two thirds of the products of a recurrent
state (forward, and backward to the state before) wait for one another, and go by the rate of the
small product; all others by that of the large one. Bytes take their own time where no arithmetic
hides it.

    python benchmarks/limits.py [--profile] [--device cuda]
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from fits import (
    During,
    Stopwatch,
    choose_device,
    fit,
    machine,
    make_classifier,
    set_up,
)
from operators import Traffic, make_profile, time_by_group
from random_batches import draw_lengths, make_batch
from timing import NETS, Side, finish, options, print_table, take_turns

from phoneme_lightning.models.cost import mflops_by_operator

__all__ = ["count", "machine_rates", "main"]

UTTERANCE = 617
TRAINING = 3  # times the forward pass: the gradients of inputs and of weights cost as much each


def count(net: str) -> dict[str, float]:
    """Count the forward pass in MFLOP a frame, by part, the phones' layer left out."""
    backbone = make_classifier(net).backbone
    found = mflops_by_operator(backbone, UTTERANCE)
    weights = {name: 2e-6 * x.numel() for name, x in backbone.named_parameters() if x.ndim == 2}
    parts = {
        "convolution": sum(x for name, x in found.items() if "conv" in name),
        "attention": sum(x for name, x in found.items() if "attention" in name),
        "recurrent inputs": sum(x for name, x in weights.items() if "weight_ih" in name),
        "recurrent states": sum(x for name, x in weights.items() if "weight_hh" in name),
    }
    total = sum(found.values())
    return {
        **parts,
        "other products": max(0.0, round(total - sum(parts.values()), 6)),
        "total": total,
    }


def machine_rates(device: str, utterances: int, size: int, repetitions: int) -> dict[str, float]:
    """Measure products in GFLOP/s and bandwidth in GB/s, the best of some turns.

    Args:
        device: "cpu" or "cuda".
        utterances: rows of the small product.
        size: of the large product's three sides.
        repetitions: turns.
    """

    def rate(work: float, call: Callable[[], Any]) -> Callable[[], float]:
        def measure() -> float:
            call()
            times = 1
            while True:  # long enough for the clock
                with Stopwatch(device) as watch:
                    for _ in range(times):
                        call()
                if watch.seconds > 0.05:
                    return work * times / watch.seconds / 1e9
                times *= 4

        return measure

    def product(rows: int, inner: int, columns: int, dtype: torch.dtype) -> Callable[[], float]:
        left = torch.randn(rows, inner, device=device, dtype=dtype)
        right = torch.randn(columns, inner, device=device, dtype=dtype).t()
        out = torch.empty(rows, columns, device=device, dtype=dtype)
        return rate(2 * rows * inner * columns, lambda: torch.mm(left, right, out=out))

    source = torch.randn(size, size * 16, device=device)
    target = torch.empty_like(source)
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return take_turns(
        {f"large {name}": product(size, size, size, dtype) for name, dtype in kinds.items()}
        | {f"step {name}": product(utterances, 512, 2048, dtype) for name, dtype in kinds.items()}
        | {"bandwidth": rate(2 * source.nbytes, lambda: target.copy_(source))},
        repetitions,
    )


def look_into(net: str, frames: int, device: str, profiled: bool) -> dict[str, Any]:
    """Give the bytes that one training step moves a frame, and where the time of three goes."""
    lengths = draw_lengths("equal", frames, 1)[0]
    batch = make_batch(lengths, device)
    traffic = Traffic()
    fit(make_classifier(net), [batch] * 2, device, "auto", [During(traffic, 1)])
    found: dict[str, Any] = {"bytes": traffic.bytes / sum(lengths)}
    if profiled:
        seen = make_profile(device)
        fit(make_classifier(net), [batch] * 4, device, "auto", [During(seen, 1)])
        found["time"] = time_by_group(seen, device)
    return found


def stand(ours: Side, net: str, rates: dict[str, float], dtype: str, given: Any) -> dict[str, Any]:
    """Tell what a frame of a net takes in training, and what it must take.

    Args:
        ours: a process that is set up as phoneme-cli's.
        net: its name.
        rates: of the machine.
        dtype: "fp32" or "bf16", what `auto` multiplies in.
        given: options of the program.
    """
    parts = count(net)
    waiting = (TRAINING - 1) * parts["recurrent states"]
    free = TRAINING * parts["total"] - waiting
    # MFLOP over GFLOP/s are milliseconds.
    floor_us = 1e3 * (free / rates[f"large {dtype}"] + waiting / rates[f"step {dtype}"])
    device = choose_device(given.device)
    looked = look_into(net, given.frames_per_batch, device, given.profile)
    what = (net, "ours", "equal", given.frames_per_batch, given.steps, device)
    measure = partial(ours, "fits:training_rate", *what)
    rate = take_turns({net: lambda: measure()["rate"]}, given.repetitions)[net]
    return {
        "net": net,
        **{f"MFLOP {part}": mflops for part, mflops in parts.items()},
        "floor us": floor_us,
        "kB moved": looked["bytes"] / 1e3,
        "moving us": looked["bytes"] / rates["bandwidth"] / 1e3,
        "measured us": 1e6 / rate,
        "frames/s": rate,
        "floor/measured": floor_us * rate / 1e6,
        "share of products": TRAINING * parts["total"] * rate / rates[f"large {dtype}"] / 1e3,
        "time": looked.get("time"),
    }


def main() -> None:
    """Print what was counted, measured and, with --profile, where the time goes; then JSON."""
    parser = options(__doc__)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--frames-per-batch", type=int, default=8_000)
    parser.add_argument("--steps", type=int, default=4, help="that are timed, of each turn")
    parser.add_argument("--profile", action="store_true", help="show where a step's time goes")
    given = parser.parse_args()
    size = 4096 if choose_device(given.device) == "cuda" else 2048
    if given.quick:
        given.frames_per_batch, given.steps, given.repetitions, size = 100, 1, 1, 256
    set_up(given.threads)
    utterances = max(1, round(given.frames_per_batch / UTTERANCE))
    rates = machine_rates(choose_device(given.device), utterances, size, given.repetitions)
    about = machine(given.device)
    dtype = "fp32" if about["auto"] == "32-true" else "bf16"
    with Side(given.threads, ours=True) as ours:
        rows = [stand(ours, net, rates, dtype, given) for net in given.nets]

    print_table([{"GFLOP/s and GB/s": name, "measured": rate} for name, rate in rates.items()])
    counted = [name for name in rows[0] if name == "net" or name.startswith("MFLOP")]
    print_table([{name.removeprefix("MFLOP "): row[name] for name in counted} for row in rows])
    if given.profile:
        shares = [{"net": row["net"], **(row["time"] or {})} for row in rows]
        groups = list(dict.fromkeys(group for row in shares for group in row))
        print_table([{group: row.get(group, 0.0) for group in groups} for row in shares])
    shown = [name for name in rows[0] if name not in (*counted[1:], "time")]
    stated = {**about, "frames/batch": given.frames_per_batch, "rates": rates, "rows": rows}
    finish([{name: row[name] for name in shown} for row in rows], stated)


if __name__ == "__main__":
    main()
