"""The table of the models of a corpus whose test split has labels, of speakers none has heard."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["strangers"]


def strangers(kept: Path, title: Callable[[str], str]) -> list[dict[str, str]]:
    """Give a row a model, the worst on test first.

    Args:
        kept: folder of the corpus's models.
        title: says what a model is.
    """
    found = [json.loads(file.read_text("utf-8")) for file in sorted(kept.glob("*/summary.json"))]
    ordered = sorted(found, key=lambda one: one["mean"]["test_frame_accuracy"])
    return [{"model": title(one["name"]), **_cells(one, kept)} for one in ordered]


def _cells(one: Mapping[str, Any], kept: Path) -> dict[str, str]:
    mean, place = one["mean"], f"results/{kept.name}/{one['name']}"
    cells = {
        "parameters": f"{one['parameters'] / 1e6:.2f} M",
        "trained on": _size(one["train"]),
    }
    for part, key in (("validation", ""), ("test", "test_")):
        accuracy, errors = (
            mean[f"{key}{score}"] for score in ("frame_accuracy", "phone_error_rate")
        )
        cells |= {
            part: _size(one[part]),
            f"{part} accuracy": f"{accuracy:.4f}",
            f"{part} phone error rate": f"{errors:.4f}",
        }
    first = f"s{one['runs'][0]['seed']}"
    has_config = (kept / one["name"] / first / "config.yaml").is_file()
    return cells | {
        "seeds": str(len(one["runs"])),
        "summary": f"[summary]({place}/summary.json)",
        "command": f"[command]({place}/{first}/command.txt)",
        "config": f"[config]({place}/{first}/config.yaml)" if has_config else "-",
    }


def _size(part: Mapping[str, int]) -> str:
    seconds = part["frames"] / 100
    time = f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
    who = f"{part['speakers']} speaker{'s' if part['speakers'] > 1 else ''}"
    return f"{time}, {who}"
