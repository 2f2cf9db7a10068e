"""Show how fast each net trains, beside the same net as people write it.

Ours: the classifier in Lightning as phoneme-cli trains it, in the precision that `auto` takes, over
batches of about one length. Theirs (nets.py): a plain LightningModule in fp32 over utterances in
random order, padded: nn.LSTM, torchvision's resnet18 under nn.LSTM, convolutions with batch norm,
nn.TransformerEncoder. In rows of equal lengths all utterances have 600 frames, so nobody pads; the
LSTM runs there over packed sequences too, whose backward pass is quadratic in the frames of an
utterance on a CPU, whatever the batch, so that a few utterances must do (--packed-frames).

A gradient that goes backward through padding fades until its numbers leave fp32's normal form,
which is very slow on a CPU. In ours it is exactly 0 there; `flushed` is theirs once more, over the
same batches, with such numbers taken for 0, as few people know to ask for.

Every step is forward, loss, backward, clipping and AdamW. Data are random and lie on the device.
Speeds are real frames a second, the best of several turns.

    python benchmarks/training.py [--frames-per-batch 8000 32000] [--device cuda]
"""

from functools import partial
from typing import Any

from timing import NETS, Side, all_sides, finish, options, take_turns

__all__ = ["main"]


def measure(
    sides: dict[str, Side], net: str, order: str, frames: int, given: Any
) -> dict[str, Any]:
    """Measure one net with one kind of batches.

    Args:
        sides: "ours" and "theirs".
        net: its name.
        order: "real" lengths, or "equal" ones.
        frames: real frames a batch, about.
        given: options of the program.

    Returns:
        A row: frames a second of each contender, ratios, and padding.
    """
    padding: dict[str, float] = {}

    def contend(contender: str, own_frames: int, steps: int) -> float:
        ours = contender == "ours"
        drawn = {"real": "bucketed" if ours else "shuffled", "equal": "equal"}[order]
        side = sides[contender if contender in sides else "theirs"]
        what = (net, contender, drawn, own_frames, steps, given.device)
        seen = side("fits:training_rate", *what)
        padding[contender] = seen["padding"]
        return seen["rate"]

    names = ("ours", "padded", "flushed") if order == "real" else ("ours", "padded")
    contenders = {name: partial(contend, name, frames, given.steps) for name in names}
    best = {"ours": None, "padded": None, "flushed": None, "packed": None}
    best |= take_turns(contenders, given.repetitions)
    if order == "equal" and net in ("RNN", "CRNN"):
        packed = {"packed": partial(contend, "packed", given.packed_frames or frames, 1)}
        best |= take_turns(packed, 1)
    return {
        "net": net,
        "frames/batch": frames,
        "lengths": order,
        **best,
        "ours/padded": best["ours"] / best["padded"],
        "ours/flushed": best["flushed"] and best["ours"] / best["flushed"],
        "ours/packed": best["packed"] and best["ours"] / best["packed"],
        "padding": padding["ours"],
        "theirs": padding["padded"],
    }


def main() -> None:
    """Print a row a net and kind of batches, and a line of JSON."""
    parser = options(__doc__)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--frames-per-batch", nargs="+", type=int, default=[8_000])
    parser.add_argument("--steps", type=int, default=4, help="that are timed, of each turn")
    parser.add_argument(
        "--packed-frames", type=int, default=2_400, help="a batch of the packed LSTM; 0: as others"
    )
    given = parser.parse_args()
    if given.quick:
        given.frames_per_batch, given.packed_frames = [100], 0
        given.steps = given.repetitions = 1
    with all_sides(given) as sides:
        rows = [
            measure(sides, net, order, frames, given)
            for frames in given.frames_per_batch
            for net in given.nets
            for order in ("real", "equal")
        ]
        machine = sides["ours"]("fits:machine", given.device)
    finish(rows, {**machine, "rows": rows})


if __name__ == "__main__":
    main()
