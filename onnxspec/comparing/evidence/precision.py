"""What storing weights in a type of few bits may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxspec.comparing.evidence.elements import FORMATS, number_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["half_ulp", "spacing_of", "stored_type"]

_BITS: dict[str, tuple[int, int]] = {  # bits of the significand that are stored, exponent of the least normal
    "float64": (52, -1022),
    "float32": (23, -126),
    "bfloat16": (7, -126),
    "float16": (10, -14),
    "float8_e4m3fn": (3, -6),
    "float8_e5m2": (2, -14),
}
_SAMPLE = 4096


def stored_type(values: Array, *, single: bool | None = None) -> str:
    """Give the narrowest known type that holds every value exactly; `single`: whether float32 is known to."""
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLE)]
    for name in ("float8_e5m2", "float8_e4m3fn", "bfloat16", "float16"):
        if _holds(sample, name) and _holds(flat, name):
            return name
    if single is None:
        single = _holds(flat, "float32")
    return "float32" if single else "float64"


def _holds(values: Array, name: str) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.array_equal(values.astype(number_type(name)).astype(np.float64), values))


def spacing_of(name: str) -> float:
    """Give the spacing of the numbers just above 1."""
    return float(2.0 ** -_BITS[name][0])


def half_ulp(values: Array, name: str) -> Array:
    """Give half the distance to the next number of a type, for every value."""
    bits, least = _BITS[name]
    _, exponents = np.frexp(values)
    with np.errstate(under="ignore"):
        half: Array = np.ldexp(0.5, np.maximum(exponents - 1, least) - bits)
    return half


assert set(FORMATS) < set(_BITS)  # noqa: S101 - the two tables belong together
