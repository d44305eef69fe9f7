"""Numbers as people read them: few digits, one sign for what is missing."""

from __future__ import annotations

import math

__all__ = ["MISSING", "counted", "fixed", "interval", "short", "size", "value"]

MISSING = "–"
MINUS = "\u2212"


def short(value: float | int | None, digits: int = 4) -> str:
    """Give a number in significant digits; integers in full, with separators from 10,000 on.

    Examples
    --------
    >>> short(0.036235504), short(-1234.5), short(1.2e-283, 2), short(1255500)
    ('0.03624', '−1234', '1.2e−283', '1,255,500')
    """
    if isinstance(value, int) and abs(value) > 10**300:
        return "over 1e300"
    if value is None or not math.isfinite(value):
        return MISSING
    if isinstance(value, int) and abs(value) < 10**15:
        text = f"{value:,}" if abs(value) >= 10_000 else str(value)
    elif value == 0.0:
        text = "0"
    else:
        value = float(value)
        magnitude = int(f"{value:.{digits - 1}e}".partition("e")[2])
        if -4 < magnitude < 6:
            text = f"{value:{',' if magnitude > 3 else ''}.{max(0, digits - 1 - magnitude)}f}"
        else:
            mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
            text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", MINUS)


def value(number: float | None, digits: int = 4) -> str:
    """Give a number as `short` does, and a whole one without decimals: ranks and spikes that were kept as floats."""
    if number is not None and math.isfinite(number) and abs(number) < 1e9 and float(number).is_integer():
        return short(int(number))
    return short(number, digits)


def fixed(value: float | int | None, digits: int) -> str:
    """Give a number with a number of decimals, as columns need it; huge ones in significant digits."""
    if value is None or abs(value) >= 1e6 or not math.isfinite(value):
        return short(value, 3)
    return f"{value:{',' if abs(value) >= 10_000 else ''}.{digits}f}".replace("-", MINUS)


def interval(ends: tuple[float, float] | None, digits: int = 2) -> str:
    """Give an interval in words, empty without one."""
    return "" if ends is None else f"{fixed(ends[0], digits)} to {fixed(ends[1], digits)}"


def counted(number: int, what: str) -> str:
    """Give a number of things, which end in an s where there are several."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Give bytes in the largest fitting unit."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
