"""What a probe leaves in its folder: the finding, its figure, and its advice as overrides."""

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phoneme_lightning.sweep.findings.finding import FINDING, Finding
from phoneme_lightning.sweep.folder import write_atomically
from phoneme_lightning.sweep.keys import nested
from phoneme_lightning.sweep.yaml12 import dump_yaml

__all__ = ["Advice", "write_probe"]

WIDTH = 90


@dataclass(frozen=True)
class Advice:
    """What a probe would change, and why."""

    why: str
    """In a sentence or two, also where nothing is to be changed."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted key of phoneme-cli -> value."""

    def as_yaml(self) -> str:
        """Give it as a config of phoneme-cli, or a round's overrides, with the reason above."""
        reason = "".join(f"# {line}\n" for line in textwrap.wrap(self.why, WIDTH))
        return reason + dump_yaml(nested(self.settings))


def write_probe(folder: Path, finding: Finding, info: Any, page: str, advice: Advice) -> None:
    """Write what a probe found into its folder, and print it.

    Args:
        folder: the probe's, which is there.
        finding: its verdict.
        info: the numbers of the figure that shows it, a named tuple.
        page: HTML, that figure drawn.
        advice: what to change.
    """
    write_atomically(folder / FINDING, json.dumps(finding.as_dict(), indent=2) + "\n")
    write_atomically(folder / "figure.json", json.dumps(_named(info)) + "\n")
    write_atomically(folder / "figure.html", page)
    write_atomically(folder / "advice.yaml", advice.as_yaml())
    print(f"\n{finding.verdict}: {finding.sentence} [{finding.rule}, {finding.playbook}]")
    if finding.action:
        print(f"    {finding.action}")
    print(f"\n{folder / 'advice.yaml'}:\n{textwrap.indent(advice.as_yaml(), '    ')}")
    print(f"{folder / 'figure.html'}")


def _named(value: Any) -> Any:
    """Give named tuples, in one another, as mappings."""
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        inner = [_named(one) for one in value]
        return dict(zip(names, inner, strict=True)) if names else inner
    return value
