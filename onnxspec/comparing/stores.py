"""How coarsely the values of a matrix are stored, and so how far they may lie from what they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.comparing.elements import PUSHED
from onnxspec.comparing.grids import Grid, find_grid
from onnxspec.comparing.precision import half_ulp, stored_type

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
        Half a step of each element, or what broadcasts to it.
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


def store_of(values: Array, positions: int, quantization: Quantization | None) -> Store:
    """Find what stores a matrix of shape (outputs, inputs * positions)."""
    stored = stored_type(values)
    grid = None
    if not stored.startswith("float8") or quantization is not None:
        grid = find_grid(values, positions, stored=stored)
    half = half_ulp(values, stored) if grid is None else 0.5 * grid.steps
    whole = np.broadcast_to(half, values.shape)
    return Store(stored, grid, half, math.sqrt(float(np.mean(whole * whole)) / 3.0))


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
    half = store_x.half * np.abs(scale) + store_b.half + loose
    single = 2.0**-22 * np.abs(b)
    error = np.abs(x - b)
    inside = error <= _SLACK * half + single
    if "float16" in (store_x.type, store_b.type):
        inside |= (np.abs(x) <= PUSHED) & (np.abs(b) <= PUSHED)
    clipped = np.zeros_like(inside)
    for grid, own, other in ((store_b.grid, b, x), (store_x.grid, x, b)):
        if grid is not None:
            ends = ((own >= grid.high * scale) & (other > own)) if own is x else ((own >= grid.high) & (other > own))
            starts = ((own <= grid.low * scale) & (other < own)) if own is x else ((own <= grid.low) & (other < own))
            clipped |= ~inside & (ends | starts)
    good = float(np.mean(inside | clipped))
    rms = math.sqrt(float(np.vdot(error, error)) / error.size)
    expected = math.hypot(store_b.rms, store_x.rms * float(np.sqrt(np.mean(np.square(scale)))))
    return Fit(
        inside=good,
        clipped=float(np.mean(clipped)),
        error=rms / expected if expected > 0.0 else 0.0,
        background=_gaussian_share(np.broadcast_to(half, b.shape), rms),
    )


def _gaussian_share(half: Array, rms: float) -> float:
    """Give the share within half a step of Gaussian errors, drawn for some of the elements."""
    steps = half.ravel()[:: max(1, half.size // _SAMPLE)] if half.size > _SAMPLE else half.ravel()
    draws = rms * np.random.default_rng(0).standard_normal(steps.size)
    return float(np.mean(np.abs(draws) <= steps))
