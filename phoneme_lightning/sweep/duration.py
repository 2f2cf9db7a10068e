"""A stretch of time with its unit: 90s, 30m, 2h."""

import re

__all__ = ["Duration"]

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(float):
    """Seconds, written with a unit: 90s, 30m, 2h, 1d, 1h30m.

    Raises:
        ValueError: it is not written so; a bare number has no unit.
    """

    def __new__(cls, text: object) -> "Duration":
        """Parse it."""
        if isinstance(text, Duration):
            return text
        parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", str(text))
        if not parts or "".join(number + unit for number, unit in parts) != str(text):
            raise ValueError(f"{text!r} is no duration: write 90s, 30m, 2h or 1h30m")
        return super().__new__(cls, sum(float(number) * SECONDS[unit] for number, unit in parts))

    def __reduce__(self) -> tuple[type["Duration"], tuple[str]]:
        """Let it be copied and pickled."""
        return Duration, (str(self),)

    def __str__(self) -> str:
        """Give it back with a unit."""
        for unit in ("h", "m"):
            if self and self % SECONDS[unit] == 0:
                return f"{self / SECONDS[unit]:.12g}{unit}"
        return f"{float(self):.12g}s"

    __repr__ = __str__
