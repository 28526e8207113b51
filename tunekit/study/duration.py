"""Durations as people write them."""

from __future__ import annotations

import math
import re
import sys

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def seconds(duration: object) -> float:
    """Seconds from ``"10m"``, ``"90s"``, ``"1h30m"``, or a number of seconds.

    Raises:
        ValueError: It is none of these, or not above 0; the message is for the user.
    """
    wanted = 'expected a duration such as "10m", "90s" or "1h30m", or a number of seconds'
    if isinstance(duration, str):
        text = duration.replace(" ", "").lower()
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            value = sum(float(number) * _UNITS[unit] for number, unit in parts)
        else:
            try:
                value = float(text)
            except ValueError:
                raise ValueError(f"{wanted}, got {duration!r}") from None
    elif isinstance(duration, (int, float)) and not isinstance(duration, bool):
        value = float(duration) if duration < sys.float_info.max else math.inf
    else:
        raise ValueError(f"{wanted}, got {duration!r}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"expected a duration above 0, got {duration!r}")
    return value
