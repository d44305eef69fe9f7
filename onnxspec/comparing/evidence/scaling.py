"""One factor for the whole matrix, or one for each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Axis", "channel_factors", "factor", "factor_error"]

Axis = Literal["outputs", "inputs"]

_LEAST = 1e-6
"""Relative change below which a factor counts as 1."""


def factor(a: Array, b: Array) -> float | None:
    """Give the factor c that brings ``c a`` closest to b by least squares; None where it is 1 or does not exist."""
    square = float(np.vdot(a, a))
    if square == 0.0:
        return None
    c = float(np.vdot(a, b)) / square
    return None if c == 0.0 or abs(c - 1.0) < _LEAST else c


def channel_factors(a: Array, b: Array, axis: Axis, positions: int) -> Array | None:
    """Give one factor a channel by least squares, to multiply a with.

    Parameters
    ----------
    a, b : ndarray of float64, shape (outputs, inputs * positions)
        The values before and after.
    axis : {"outputs", "inputs"}
        What has one factor: rows, or inputs with all their positions.
    positions : int
        Kernel positions.

    Returns
    -------
    ndarray or None
        Broadcasts against a. None where the factors are as many as half the values, or all equal.
    """
    rows, columns = a.shape
    channels = rows if axis == "outputs" else columns // positions
    if channels * 2 > a.size or channels < 2:
        return None
    summed: tuple[int, ...] = (1, 2) if axis == "outputs" else (0, 2)
    x, y = (m.reshape(rows, -1, positions) for m in (a, b))
    square = np.sum(x * x, axis=summed)
    product = np.sum(x * y, axis=summed)
    with np.errstate(invalid="ignore", divide="ignore"):
        factors = np.where(square > 0.0, product / square, 1.0)
    if np.ptp(factors) <= _LEAST * np.abs(factors).max():
        return None
    return factors[:, None] if axis == "outputs" else np.repeat(factors, positions)[None, :]


def factor_error(a: Array, half: Array, axis: Axis, positions: int) -> Array:
    """Give what an error of the factors may add to each element: four of their standard errors.

    Independent rounding errors of b, uniform within `half`, give a factor by least squares the
    variance ``sum a^2 half^2 / 3 / (sum a^2)^2`` over its channel.
    """
    summed: tuple[int, ...] = (1, 2) if axis == "outputs" else (0, 2)
    x = a.reshape(len(a), -1, positions)
    steps = np.broadcast_to(half, a.shape).reshape(x.shape)
    square = np.sum(x * x, axis=summed)
    moved = np.sum(x * x * steps * steps, axis=summed)
    error = np.sqrt(moved / 3.0) / np.where(square > 0.0, square, 1.0)
    wide = error[:, None] if axis == "outputs" else np.repeat(error, positions)[None, :]
    loose: Array = 4.0 * wide * np.abs(a)
    return loose
