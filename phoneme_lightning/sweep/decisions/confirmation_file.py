"""confirmation.json: what a confirm round came to, for whoever asks later."""

import json
from typing import Any

from phoneme_lightning.sweep.folder import RoundFolder

__all__ = ["CONFIRMATION", "read_confirmation"]

CONFIRMATION = "confirmation.json"


def read_confirmation(folder: RoundFolder) -> dict[str, Any] | None:
    """Give what a confirm round came to; None where it has no verdict yet.

    Args:
        folder: of the round.
    """
    try:
        told = json.loads((folder.path / CONFIRMATION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and "verdict" in told else None
