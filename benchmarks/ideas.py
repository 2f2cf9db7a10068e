"""Show what each idea for a CPU gains, those that were not taken too, each beside what it replaces.

    python benchmarks/ideas.py [--threads 4]

Ideas inside a process take turns with what they replace, in milliseconds, the best of several.
Settings that a process reads when it starts are tried by training nets for some seconds in fresh
processes, one alone and two at once on the same cores, in frames a second of each.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from timing import finish, print_table

__all__ = ["main"]

SETTINGS = {
    "as it comes": {},
    "threads wait briefly": {"GOMP_SPINCOUNT": "10000"},
    "huge pages": {"THP_MEM_ALLOC_ENABLE": "1"},
    "both": {"GOMP_SPINCOUNT": "10000", "THP_MEM_ALLOC_ENABLE": "1"},
}
UNITS = 512


def dropout(frames: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Draw a number an element, or one for four: 2 x 512 units, forward and backward, in bf16."""
    import torch
    from torch import nn

    from phoneme_lightning.models.dropout import Dropout

    inputs = torch.randn(frames, 2 * UNITS, dtype=torch.bfloat16, requires_grad=True)

    def run(layer: nn.Module) -> None:
        outputs = layer(inputs)
        outputs.backward(outputs.detach())

    return lambda: run(nn.Dropout(0.3)), lambda: run(Dropout(0.3))


def lstm(
    batch: int, steps: int, features: int, dtype: str, train: bool = True
) -> Callable[[], None]:
    """Run one direction of an LSTM layer, and its gradient where it is trained."""
    import torch
    from torch import nn

    kind = getattr(torch, dtype)
    layer = nn.LSTM(features, UNITS, batch_first=True).to(kind)
    inputs = torch.randn(batch, steps, features, dtype=kind, requires_grad=train)

    def run() -> None:
        with torch.set_grad_enabled(train):
            outputs, _ = layer(inputs)
        if train:
            outputs.backward(outputs.detach())

    return run


def lstm_by_hand(batch: int, steps: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Train both directions of a second layer by oneDNN, or written out."""
    import torch
    from lstm_by_hand import TwoLSTMs

    ahead, behind = (lstm(batch, steps, 2 * UNITS, "bfloat16") for _ in range(2))
    shapes = (2, steps, batch, 2 * UNITS), (2, 4 * UNITS, 2 * UNITS), (2, 4 * UNITS, UNITS)
    tensors = [
        (torch.randn(*shape) / shape[-1] ** 0.5).bfloat16().requires_grad_()
        for shape in (*shapes, (2, 4 * UNITS))
    ]

    def by_hand() -> None:
        outputs = TwoLSTMs.apply(*tensors)
        outputs.backward(outputs.detach())

    return in_turn(ahead, behind), by_hand


def trunk(batch: int, steps: int, norm: str, dtype: str) -> Callable[[], None]:
    """Train the CRNN's trunk."""
    import torch

    from phoneme_lightning.models.trunk import ResNetTrunk

    net = ResNetTrunk(3, 13, norm=norm)  # type: ignore[arg-type]
    image, mask = torch.randn(batch, 3, 13, steps), torch.ones(batch, steps, dtype=torch.bool)

    def run() -> None:
        with torch.autocast("cpu", getattr(torch, dtype), enabled=dtype != "float32"):
            outputs = net(image, mask)
        outputs.backward(outputs.detach())

    return run


def attention(batch: int, steps: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Attend by PyTorch's fused kernel, or by two products with all scores in between."""
    import torch
    from torch.nn import functional as F

    draw = {"dtype": torch.bfloat16, "requires_grad": True}
    query, key, value = (torch.randn(batch, 4, steps, 64, **draw) for _ in range(3))  # type: ignore[call-overload]
    mask = torch.ones(batch, 1, 1, steps, dtype=torch.bool)

    def fused() -> None:
        outputs = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        outputs.backward(outputs.detach())

    def written_out() -> None:
        scores = (query @ key.transpose(2, 3) * 0.125).masked_fill(~mask, float("-inf"))
        outputs = scores.softmax(-1) @ value
        outputs.backward(outputs.detach())

    return fused, written_out


def in_turn(*runs: Callable[[], None]) -> Callable[[], None]:
    """Make one of several."""

    def run() -> None:
        for one in runs:
            one()

    return run


def milliseconds(run: Callable[[], None]) -> float:
    """Time one call."""
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def train(net: str, threads: int, seconds: float) -> None:
    """Train a net for so long in this process, and print its frames a second."""
    import torch
    from torch.nn import functional as F

    from phoneme_lightning import models

    torch.set_num_threads(threads)
    backbone = getattr(models, net)()
    optimizer = torch.optim.AdamW(backbone.parameters(), fused=True)
    inputs, lengths = torch.randn(13, 617, 39), torch.full((13,), 617)
    labels = torch.randint(41, (13 * 617,))
    steps, start = -1, time.perf_counter()  # the first step warms up
    while steps < 1 or time.perf_counter() - start < seconds:
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(backbone(inputs, lengths).float().flatten(0, 1), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        steps += 1
        start = time.perf_counter() if steps == 0 else start
    print(steps * len(labels) / (time.perf_counter() - start))


def train_with(settings: dict[str, str], net: str, processes: int, given: Any) -> float:
    """Train in so many processes at once; give the mean of their frames a second."""
    command = [sys.executable, __file__, "--train", net, "--threads", str(given.threads)]
    command += ["--seconds", str(given.seconds)]
    names = {name for setting in SETTINGS.values() for name in setting}
    plain = {name: value for name, value in os.environ.items() if name not in names}
    running = [
        subprocess.Popen(command, env={**plain, **settings}, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return sum(float(one.communicate()[0]) for one in running) / processes


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each training")
    parser.add_argument("--quick", action="store_true", help="a trial run: its figures mean little")
    parser.add_argument("--train", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        train(given.train, given.threads, given.seconds)
        return
    import torch

    torch.set_num_threads(given.threads)
    steps = 617
    if given.quick:
        steps, given.repetitions, given.seconds = 20, 1, 0.1
    ideas = {
        "dropout: four elements a number": dropout(13 * steps),
        "first LSTM layer: 39 inputs made 40": tuple(
            lstm(13, steps, n, "bfloat16") for n in (39, 40)
        ),
        "the same, forward only": tuple(
            lstm(13, steps, n, "bfloat16", train=False) for n in (39, 40)
        ),
        "second LSTM layer: bf16 for fp32": tuple(
            lstm(13, steps, 2 * UNITS, kind) for kind in ("float32", "bfloat16")
        ),
        "52 utterances at once, for 4 times 13": (
            in_turn(*[lstm(13, steps, 2 * UNITS, "bfloat16")] * 4),
            lstm(52, steps, 2 * UNITS, "bfloat16"),
        ),
        "LSTM by hand, 13 utterances": lstm_by_hand(13, steps),
        "LSTM by hand, 52 utterances": lstm_by_hand(52, steps),
        "trunk: bf16 for fp32": tuple(
            trunk(13, steps, "batch", kind) for kind in ("float32", "bfloat16")
        ),
        "trunk: layer norm a frame for batch norm": tuple(
            trunk(13, steps, norm, "bfloat16") for norm in ("batch", "frame")
        ),
        "attention written out": attention(13, steps),
    }
    rows = []
    for name, (before, after) in ideas.items():
        times = [(milliseconds(before), milliseconds(after)) for _ in range(given.repetitions + 1)][
            1:
        ]
        plain, fast = (min(column) for column in zip(*times, strict=True))
        rows.append({"idea": name, "before ms": plain, "after ms": fast, "gain": plain / fast})
    settings = [
        {
            "setting": name,
            "RNN alone": train_with(setting, "RNN", 1, given),
            "CNN alone": train_with(setting, "CNN", 1, given),
            "two CNNs at once": train_with(setting, "CNN", 2, given),
        }
        for name, setting in SETTINGS.items()
    ]
    print_table(settings)
    finish(rows, {"threads": given.threads, "ideas": rows, "settings": settings})


if __name__ == "__main__":
    main()
