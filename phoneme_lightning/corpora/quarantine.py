"""What a corpus brings that cannot be used: kept out by name and reason, and counted."""

import csv
import math
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from phoneme_lightning.errors import InputError

__all__ = ["Damage", "Quarantine", "Rejected", "parse_share"]


_NAMED = 20
"""Of so many the refusal of a corpus says what is wrong with them."""
SPARED = 2
"""So many may be bad in a corpus too small for its share to be one."""


class Damage(Exception):
    """Something is wrong with one utterance.

    Args:
        reason: one of a few fixed phrases, by which they are counted.
        detail: what helps to find the place; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class Rejected(NamedTuple):
    """One row of quarantine.csv: the utterance, its split in the corpus, and what is wrong."""

    id: str
    split: str
    reason: str


class Quarantine:
    """The rejected utterances of a corpus that is being prepared.

    Attributes:
        rows: what was rejected, in the order in which it was found.
        reasons: how often each reason occurred, details left out.
    """

    def __init__(self) -> None:
        self.rows: list[Rejected] = []
        self.reasons: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, utterance: str, split: str, damage: Damage) -> None:
        """Reject an utterance of a split of the corpus."""
        self.rows.append(Rejected(utterance, split, str(damage)))
        self.reasons[damage.reason] += 1

    def summary(self) -> list[str]:
        """Say in lines what was rejected and why; test utterances by name. Empty if nothing was."""
        if not self.rows:
            return []
        lines = [f"quarantined {len(self)}: {self._counted()}"]
        tests = [row for row in self.rows if row.split == "test"]
        if tests:
            lines.append(
                f"WARNING: {len(tests)} of them are of test, and a submission needs all of test:"
            )
            lines += [f"  {row.id}  {row.reason}" for row in tests[:10]]
            lines += [f"  and {len(tests) - 10} more"] * (len(tests) > 10)
        return lines

    def judge(self, total: int, *, max_bad: float, strict: bool = False) -> None:
        """Say on stderr what was rejected; stop a prepare that loses too much.

        Args:
            total: utterances that the corpus names.
            max_bad: the share of them that may be rejected, 0 to 1; SPARED may be in any case,
                unless it is 0.
            strict: whether a single one is too much.

        Raises:
            InputError: more is rejected than may be; it says the reasons.
        """
        most: float = max(max_bad * total, SPARED if max_bad else 0)
        allowed, fix = f"--max-bad allows {max_bad:.2%}", "raise --max-bad"
        if strict:
            most, allowed, fix = 0, "--strict allows none", "leave --strict out"
        is_refused, lines = len(self) > most, self.summary()
        if is_refused:
            lines += [f"  {row.id}: {row.reason}" for row in self.rows[:_NAMED]]
            lines += [f"  and {len(self) - _NAMED} more"] * (len(self) > _NAMED)
        for line in lines:
            print(line, file=sys.stderr)
        if not is_refused:
            return
        raise InputError(
            f"{len(self)} of {total} utterances are bad ({len(self) / total:.2%}, {allowed}): "
            f"{self._counted()}: mend the source or {fix}"
        )

    def _counted(self) -> str:
        return ", ".join(f"{count} x {reason}" for reason, count in self.reasons.most_common())

    def write(self, path: Path) -> None:
        """Write the rows as CSV with the columns id, split, reason."""
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(Rejected._fields)
            table.writerows(self.rows)


def parse_share(key: str, text: str) -> float:
    """Read a share from "1%" or "0.01".

    Args:
        key: what a person calls it, for the error.
        text: what a person gave.

    Raises:
        InputError: it is no number, or not from 0 to 1.
    """
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise InputError(f"{key} is {text!r}, but must be a share such as 1% or 0.01")
    return share
