"""The tables of the models that are kept, written into the pages that show them."""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from differences import differences
from recipes import recipes
from strangers import strangers

from phoneme_lightning.errors import InputError

__all__ = ["fill", "read_kept", "title", "told", "write"]

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "results/libriphone"
PAGES = (ROOT / "results/README.md", ROOT / "README.md", ROOT / "docs/recipes.md")
PART = re.compile(
    r"(<!-- (models|table|apart|differences|recipes|timit) -->\n).*?(<!-- end -->)", re.DOTALL
)
LINK = re.compile(r"\[([^]]*)\]\(results/[^)]*\)")
ENDS = {
    "-decoded": ", decoded",
    "-pseudo": ", with pseudo-labels",
    "-long": ", trained longer",
}
TITLES = {
    "baseline": "GRU, the usual recipe",
    "gru": "GRU, our recipe",
    **{name: name.upper() for name in ("rnn", "crnn", "cnn")},
}


def title(name: str) -> str:
    """Say in a table what a model is."""
    for end, told in ENDS.items():
        if name.endswith(end):
            return title(name.removesuffix(end)) + told
    return TITLES.get(name, name.capitalize())


def read_kept(kept: Path = KEPT) -> dict[str, dict[str, Any]]:
    """Read the summaries of all models that are kept, by name, the worst first.

    Raises:
        InputError: they were validated on different utterances.
    """
    found = [json.loads(file.read_text("utf-8")) for file in sorted(kept.glob("*/summary.json"))]
    for one in found[1:]:
        if (one["split"], one["validation"]) != (found[0]["split"], found[0]["validation"]):
            raise InputError(
                f"{kept / found[0]['name']} and {kept / one['name']} were validated on different "
                "utterances and cannot stand in one table: remove the older"
            )
    return {
        one["name"]: one for one in sorted(found, key=lambda one: one["mean"]["frame_accuracy"])
    }


def _public(kept: Path) -> dict[str, str]:
    """Read what holders of the test's labels have filled in."""
    if not (kept / "public.csv").is_file():
        return {}
    with (kept / "public.csv").open(newline="", encoding="utf-8") as stream:
        return {row["model"]: row["public"] for row in csv.DictReader(stream)}


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _cells(name: str, one: Mapping[str, Any], kept: Path) -> dict[str, str]:
    """Give what the columns of the tables say of a model."""
    place = f"results/libriphone/{name}"
    mean, spread = one["mean"], one["deviation"]
    first = f"s{one['runs'][0]['seed']}"
    has_config = (kept / name / first / "config.yaml").is_file()
    threads = f"{one['threads']} thread{'s' if one['threads'] > 1 else ''}"
    return {
        "model": f"[{title(name)}]({place}/summary.json)",
        "parameters": f"{one['parameters'] / 1e6:.2f} M",
        "public": _public(kept).get(name) or "-",
        "validation accuracy": f"{mean['frame_accuracy']:.4f}",
        "macro F1": f"{mean['macro_f1']:.4f}",
        "phone error rate": f"{mean['phone_error_rate']:.4f}",
        "seeds": str(len(one["runs"])),
        "spread": f"{spread['frame_accuracy']:.4f}" if spread else "-",
        "frames seen": f"{mean['frames_seen'] / 1e6:.1f} M",
        "time": _time(mean["seconds"]),
        "machine": f"{one['device']}, {threads}, {one['precision']}",
        "command": f"[command]({place}/{first}/command.txt)",
        "config": f"[config]({place}/{first}/config.yaml)" if has_config else "-",
    }


SHORT = ("model", "parameters", "public", "validation accuracy", "phone error rate", "frames seen")


def _table(rows: list[dict[str, str]], short: bool = False) -> list[str]:
    if not rows:
        return ["None is kept yet."]
    columns = [column for column in rows[0] if not short or column in SHORT]
    lines = [columns, ["---"] * len(columns), *([row[key] for key in columns] for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def fill(text: str, kept: Path = KEPT) -> str:
    """Fill the parts of a page that are made of what is kept.

    Args:
        text: a page whose parts stand between `<!-- KIND -->` and `<!-- end -->`: models, table
            (the same in short), apart (models that heard the test's features), differences,
            recipes (what the models were set to); timit (what is kept beside, of another corpus).
        kept: folder of all models.
    """
    found = read_kept(kept)
    cells = {name: _cells(name, one, kept) for name, one in found.items()}
    apart = [name for name in cells if "pseudo" in name]
    fair = [row for name, row in cells.items() if name not in apart]
    parts = {
        "models": _table(fair),
        "table": _table(fair, short=True),
        "apart": _table([cells[name] for name in apart]),
        "differences": differences(found, kept, title),
        "recipes": recipes(found, kept, title),
        "timit": _table(strangers(kept.with_name("timit"), title)),
    }

    def put(part: "re.Match[str]") -> str:
        begin, kind, end = part.groups()
        return f"{begin}\n" + "\n".join(parts[kind]) + f"\n\n{end}"

    return PART.sub(put, text)


def told(page: Path) -> str:
    """Give the text of a page with its tables made anew, and links that hold where it stands."""
    text = fill(page.read_text(encoding="utf-8"))
    if page.parent.name == "results":
        return text.replace("](results/", "](")
    return LINK.sub(r"\1", text) if page.parent.name == "docs" else text


def write() -> None:
    """Write the tables of all pages anew."""
    for page in PAGES:
        page.write_text(told(page), encoding="utf-8")
