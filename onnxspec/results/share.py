"""Shares in per cent for people: only the whole is 100 %, and only nothing is 0 %."""

from __future__ import annotations

import math

__all__ = ["percent"]

ROUNDING = 1e-9  # a float share such as 0.3 must not lose its last digit to the floor


def percent(part: float, whole: float = 1.0) -> str:
    """Give a share in per cent with one decimal, rounded down.

    Parameters
    ----------
    part, whole : int or float
        Not negative; counts are compared exactly, however large.

    Returns
    -------
    str
        Such as ``99.9 %``; ``100.0 %`` only where `part` is all of `whole`, ``<0.1 %`` for what is
        not nothing, and empty where there is no whole.
    """
    if whole <= 0:
        return ""
    if part >= whole:
        return "100.0 %"
    exact = isinstance(part, int) and isinstance(whole, int)
    tenths = 1000 * part // whole if exact else math.floor(1000.0 * part / whole + ROUNDING)
    tenths = min(int(tenths), 999)
    return f"{tenths / 10:.1f} %" if tenths or not part else "<0.1 %"
