"""How coarsely the values of a matrix are stored, and so how far they may lie from what they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.comparing.evidence.elements import PUSHED
from onnxspec.comparing.evidence.grids import Grid, find_grid
from onnxspec.comparing.evidence.precision import half_ulp, spacing_of, stored_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.results import Quantization

    Array = NDArray[np.float64]

__all__ = ["Fit", "Store", "fit_within", "store_of"]

MOST_OUTSIDE = 1e-3
"""Share of the elements that may lie farther off than half a step."""

MOST_CLIPPED = 0.02
"""Share of the elements that may have been clipped to the ends of the grid."""

_SLACK = 1.002
_EXACT = ("float32", "float64")
_SAMPLE = 2**16
_BLOCK = 2**16  # elements: the temporaries stay in the cache


@dataclass(frozen=True, eq=False)
class Store:
    """What stores a matrix.

    Attributes
    ----------
    type : str
        Narrowest floating-point type that holds the values exactly.
    grid : Grid or None
        Their even spacing, where they have one.
    half : ndarray of float64
        Half a step of each element, or what broadcasts to it; 0 for float32 and float64.
    rms : float
        Root mean square of the error of rounding to it.
    """

    type: str
    grid: Grid | None
    half: Array
    rms: float

    @property
    def coarse(self) -> bool:
        """Whether it is coarser than float32."""
        return self.grid is not None or self.type not in _EXACT

    @property
    def label(self) -> str:
        """Name it: ``int8 per channel of outputs``, ``float16``."""
        if self.grid is None:
            return self.type
        groups = self.grid.groups
        if groups.granularity == "tensor":
            return f"int{self.grid.bits} per tensor"
        if groups.granularity == "channel":
            return f"int{self.grid.bits} per channel ({groups.axis})"
        return f"int{self.grid.bits} per block of {groups.block} ({groups.axis})"


@dataclass(frozen=True)
class Fit:
    """How well what one matrix stands for explains another.

    Attributes
    ----------
    inside, clipped : float
        Shares of the elements within half a step of both, and clipped to the end of a grid.
    error : float
        Root mean square of the error over that of rounding.
    background : float
        Share within half a step of Gaussian errors of the same size.
    """

    inside: float
    clipped: float
    error: float
    background: float

    @property
    def holds(self) -> bool:
        """Whether rounding explains all that is left."""
        return self.inside >= 1.0 - MOST_OUTSIDE and self.clipped <= MOST_CLIPPED


def store_of(values: Array, positions: int, quantization: Quantization | None, *, single: bool | None = None) -> Store:
    """Find what stores a matrix of shape (outputs, inputs * positions); `single`: whether float32 is known to."""
    stored = stored_type(values, single=single)
    grid = None
    if not stored.startswith("float8") or quantization is not None:
        grid = find_grid(values, positions, stored=stored)
    if grid is None and stored in _EXACT:
        # half a unit in the last place lies between a half and a quarter of this, which `fit_within` grants to all
        relative = 0.375 * spacing_of(stored)
        rms = relative * math.sqrt(float(np.vdot(values, values)) / values.size / 3.0)
        return Store(stored, None, np.zeros((1, 1)), rms)
    half = half_ulp(values, stored) if grid is None else 0.5 * grid.steps
    squares = float(np.vdot(half, half)) / half.size if grid is None else _mean_square(half, values.shape)
    return Store(stored, grid, half, math.sqrt(squares / 3.0))


def _mean_square(half: Array, shape: tuple[int, ...]) -> float:
    """Give the mean over all elements of what broadcasts to them."""
    return float(np.mean(half * half)) if half.size < math.prod(shape) else float(np.vdot(half, half)) / half.size


def fit_within(
    x: Array, b: Array, store_x: Store, store_b: Store, scale: Array | float = 1.0, loose: Array | float = 0.0
) -> Fit:
    """Ask whether x and b stand for the same values.

    Parameters
    ----------
    x, b : ndarray of float64, of one shape
        What is to explain, times `scale` already, and what is explained.
    store_x, store_b : Store
        Of the two, before scaling.
    scale : ndarray or float
        What x was multiplied with.
    loose : ndarray or float
        What an error in `scale` may add.

    Returns
    -------
    Fit
    """
    plain = np.isscalar(scale) and scale == 1.0 and np.isscalar(loose)
    inside = clipped = 0
    square = 0.0
    rows = max(1, _BLOCK // max(1, b.shape[1]))
    for start in range(0, len(b), rows):
        part = slice(start, start + rows)
        y, own = b[part], x[part]
        half = _part(store_x.half, part) + _part(store_b.half, part)
        if not plain:
            half = (
                _part(store_x.half, part) * np.abs(_part(scale, part)) + _part(store_b.half, part) + _part(loose, part)
            )
        error = own - y
        square += float(np.vdot(error, error))
        np.abs(error, out=error)
        allowed = np.abs(y)
        allowed *= 2.0**-22
        allowed += _SLACK * half
        good = error <= allowed
        if "float16" in (store_x.type, store_b.type):
            good |= (np.abs(own) <= PUSHED) & (np.abs(y) <= PUSHED)
        if not good.all():
            cut = ~good & _beyond_ends(own, y, store_x.grid, store_b.grid, part, _part(scale, part))
            clipped += int(np.count_nonzero(cut))
            good |= cut
        inside += int(np.count_nonzero(good))
    rms = math.sqrt(square / b.size)
    factor = float(np.sqrt(np.mean(np.square(scale))))
    expected = math.hypot(store_b.rms, store_x.rms * factor)
    return Fit(
        inside=inside / b.size,
        clipped=clipped / b.size,
        error=rms / expected if expected > 0.0 else 0.0,
        background=_gaussian_share(b, store_x.half * np.abs(scale) + store_b.half, rms),
    )


def _part(values: Array | float, rows: slice) -> Any:
    """Cut rows out of what broadcasts against a matrix."""
    return values[rows] if isinstance(values, np.ndarray) and values.ndim == 2 and len(values) > 1 else values


def _beyond_ends(
    x: Array, b: Array, grid_x: Grid | None, grid_b: Grid | None, rows: slice, scale: Any
) -> NDArray[np.bool_]:
    """Say which elements lie beyond the last value of a grid."""
    beyond = np.zeros(b.shape, dtype=bool)
    for grid, own, other, times in ((grid_b, b, x, 1.0), (grid_x, x, b, scale)):
        if grid is not None:
            high, low = _part(grid.high, rows) * times, _part(grid.low, rows) * times
            beyond |= (own >= high) & (other > own)
            beyond |= (own <= low) & (other < own)
    return beyond


def _gaussian_share(b: Array, half: Array, rms: float) -> float:
    """Give the share within half a step of Gaussian errors, drawn for some of the rows."""
    rows = slice(None, None, max(1, b.size // _SAMPLE))
    values = np.abs(b[rows])
    steps = half[rows] if len(half) > 1 else half
    draws = rms * np.random.default_rng(0).standard_normal(values.shape)
    return float(np.mean(np.abs(draws) <= steps + 2.0**-22 * values))
