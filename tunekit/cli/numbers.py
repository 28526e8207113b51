"""Numbers and matrices for people to read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tunekit.components import Array

MAX_ROWS, MAX_COLUMNS = 4, 7


def figures(number: float) -> str:
    """A number in four figures or so: ``"0.1234"``, ``"-12.35"``, ``"1.2e-07"``."""
    number = float(number)
    if number == 0:
        return "0"  # minus zero, too
    if not math.isfinite(number):
        return f"{number:g}"
    size = abs(float(f"{number:.4g}"))
    if 1e-3 <= size < 9999.5:
        return f"{number:#.4g}".rstrip(".")
    return f"{number:.0f}" if 1 < size < 1e6 else f"{number:.1e}"


def rounded(number: float, digits: int = 2) -> str:
    """A setting in so many figures, as a study file has it: ``"0.0012"``, ``"10"``, ``"1e-05"``."""
    return f"{float(f'{number:.{digits}g}'):g}"


def amount(number: float, digits: int = 4) -> str:
    """What may be a count or a measurement: ``"12,345"``, ``"0.008144"``."""
    number = float(number)
    return f"{number:,.0f}" if number.is_integer() else f"{number:.{digits}g}"


def counted(number: int, what: str) -> str:
    """``"1 unit"``, ``"1,200 units"``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def shape(array: Array) -> str:
    """``"4 x 3"``, or ``"3"`` for a vector."""
    return " x ".join(str(size) for size in array.shape)


def matrix(array: Array) -> Iterator[str]:
    """A matrix in aligned columns: all of a small one, the leading corner of a large one."""
    rows = np.atleast_2d(array)
    shown = rows[:MAX_ROWS, :MAX_COLUMNS]
    write = _writer(rows)
    is_cut = shown.shape != rows.shape
    for row in shown:
        cells = "".join(f"{write(value):>10}" for value in row)
        yield f"[{cells}{'  ...' if rows.shape[1] > MAX_COLUMNS else ''} ]"
    if is_cut:
        yield (
            f"  ... norm {figures(float(np.linalg.norm(rows)))}, mean {figures(rows.mean())}, "
            f"smallest {figures(rows.min())}, largest {figures(rows.max())}"
        )


def _writer(rows: Array) -> Callable[[float], str]:
    """Writes a matrix's numbers with the same decimals, so that they can be compared by eye."""
    finite = np.abs(rows[np.isfinite(rows)])
    largest = float(finite.max()) if finite.size else 0.0
    if largest and not 1e-3 <= largest < 1e4:
        return lambda value: "0" if value == 0 else f"{value:.2e}"
    digits = math.floor(math.log10(largest)) if largest else 0
    decimals = 3 - digits if digits < -1 else 4 if digits < 1 else 4 - digits
    if np.array_equal(rows, np.round(rows)):
        decimals = 0

    def write(value: float) -> str:
        written = f"{value:.{decimals}f}"
        return written if float(written) else "0"  # no "-0.0000", and no other zeros like it

    return write
