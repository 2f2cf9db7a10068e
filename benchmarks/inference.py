"""Show how fast each net classifies, beside the same net as people write it.

Ours in the precision that `auto` takes and in fp32, over batches of about one length; theirs
(nets.py) in fp32, over utterances in random order, padded. All in inference mode, and without the
LSTM's packing. Speeds are real frames a second, the best of several turns; the latency is that of
one utterance of 617 frames, the mean of libriphone, by itself.

    python benchmarks/inference.py [--frames-per-batch 16000 64000] [--device cuda]
"""

from functools import partial
from typing import Any

from timing import NETS, Side, all_sides, finish, options, take_turns

__all__ = ["main"]

UTTERANCE = 617


def measure(sides: dict[str, Side], net: str, frames: int, given: Any) -> dict[str, Any]:
    """Measure one net.

    Args:
        sides: "ours" and "theirs".
        net: its name.
        frames: real frames a batch, about; UTTERANCE for one utterance by itself.
        given: options of the program.

    Returns:
        A row: frames a second of each contender, ratios, and for one utterance milliseconds.
    """
    passes = given.passes * (10 if frames == UTTERANCE and not given.quick else 1)

    def contend(side: str, contender: str, precision: str, order: str) -> float:
        drawn = "whole" if frames == UTTERANCE else order
        what = (net, contender, precision, drawn, frames, passes, given.device)
        return sides[side]("fits:inference_rate", *what)["rate"]

    best = take_turns(
        {
            "auto": partial(contend, "ours", "ours", "auto", "bucketed"),
            "fp32": partial(contend, "ours", "ours", "32-true", "bucketed"),
            "theirs": partial(contend, "theirs", "padded", "32-true", "shuffled"),
        },
        given.repetitions,
    )
    one = frames == UTTERANCE
    return {
        "net": net,
        "frames/batch": frames,
        **best,
        "auto/theirs": best["auto"] / best["theirs"],
        "fp32/theirs": best["fp32"] / best["theirs"],
        "auto ms": 1000 * frames / best["auto"] if one else None,
        "theirs ms": 1000 * frames / best["theirs"] if one else None,
    }


def main() -> None:
    """Print a row a net and size of batches, and a line of JSON."""
    parser = options(__doc__)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--frames-per-batch", nargs="+", type=int, default=[16_000, 64_000])
    parser.add_argument("--passes", type=int, default=1, help="over the batch, of each turn")
    given = parser.parse_args()
    if given.quick:
        given.frames_per_batch, given.passes, given.repetitions = [1_000], 1, 1
    with all_sides(given) as sides:
        rows = [
            measure(sides, net, frames, given)
            for net in given.nets
            for frames in (UTTERANCE, *given.frames_per_batch)
        ]
        machine = sides["ours"]("fits:machine", given.device)
    finish(rows, {**machine, "rows": rows})


if __name__ == "__main__":
    main()
