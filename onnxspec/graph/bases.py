"""Matrices that nobody trained, recognised by what they hold: bases, tables, masks, grids.

Every test asks for a structure that is exact up to float32's rounding and that no
training gives: rows that are sinusoids of evenly spaced frequencies, triangles
along a band, one entry a row, one value above a diagonal. A name alone never
decides. What is found is evidence for a reader: a sentence with numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec._distinct import distinct
from onnxspec.graph.nodes import product

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["MAX_ELEMENTS", "REASONS", "Evidence", "could_be", "recognise"]

MAX_ELEMENTS = 2**24
"""Largest matrix that is looked at: bases have a few million elements at most."""

REASONS = ("fixed_basis", "position_table", "mask", "selection", "grid")
"""Reasons for which a matrix is no weight."""

_SAMPLE = 16
_SPAN = 4096
_ROWS = 8
_COLUMNS = 16
_RESIDUAL = 2e-3
_LOBE = 0.999
_OVERSAMPLE = 8


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a matrix was recognised as.

    Attributes
    ----------
    reason : str
        One of `REASONS`.
    detail : str
        What was measured.
    """

    reason: str
    detail: str


def recognise(canonical: NDArray[Any]) -> Evidence | None:
    """Say what a matrix is that nobody trained; None for any other.

    A few rows decide which tests are made at all, so that a trained matrix costs
    next to nothing.

    Parameters
    ----------
    canonical : ndarray
        Shape ``(groups, outputs, inputs, positions)``, see `onnxspec.graph.layouts`,
        of any real dtype.

    Returns
    -------
    Evidence or None
    """
    if canonical.size > MAX_ELEMENTS:
        return None
    matrix = _matrix(canonical)
    if matrix is None or min(matrix.shape) < 2:
        return None
    # A product takes the basis from either side; a table is looked up along its rows.
    for oriented in (matrix, matrix.T) if canonical.shape[3] == 1 else (matrix,):
        chosen = distinct(np.linspace(0, len(oriented) - 1, _SAMPLE).astype(int))
        with np.errstate(all="ignore"):  # squares beyond float64 are like no basis, nor are signalling NaNs
            sample = np.asarray(oriented[chosen], dtype=np.float64)
            finite = bool(np.isfinite(sample).all())
            for screen, test in _TESTS:
                if (finite or test is mask) and screen(sample):
                    whole = np.asarray(oriented, dtype=np.float64)
                    found = test(whole) if test is mask or np.isfinite(whole).all() else None
                    if found is not None:
                        return found
    return None


def could_be(kernel_shape: tuple[int, int, int, int]) -> bool:
    """Say whether a weight has a form in which bases stand, without reading it."""
    groups, outputs, inputs, positions = kernel_shape
    return product(kernel_shape) <= MAX_ELEMENTS and (
        (positions == 1 and (groups == 1 or inputs > 1)) or inputs == 1 or (outputs == 1 and groups == 1)
    )


def _matrix(canonical: NDArray[Any]) -> NDArray[Any] | None:
    """Give the matrix whose rows may be signals: filters of one channel, or a plain matrix."""
    groups, outputs, inputs, positions = canonical.shape
    if positions == 1:
        return canonical.reshape(groups * outputs, inputs) if groups == 1 or inputs > 1 else None
    if inputs == 1:
        return canonical.reshape(groups * outputs, positions)
    if outputs == 1 and groups == 1:
        return canonical.reshape(inputs, positions)
    return None


# --- one entry a row, one value a side, steps ------------------------------------------------


def selection(matrix: Array) -> Evidence | None:
    """Recognise the identity, permutations and one-hot rows: one entry a row, all alike."""
    filled = matrix != 0
    rows = filled.sum(axis=1)
    if matrix.shape[0] < _ROWS or rows.max() != 1 or rows.sum() < max(_ROWS, matrix.shape[0] // 2):
        return None
    values = matrix[filled]
    if np.ptp(values) > 1e-6 * abs(values[0]):
        return None
    columns = np.argmax(filled, axis=1)
    if matrix.shape[0] == matrix.shape[1] and np.array_equal(columns, np.arange(len(columns))) and rows.all():
        return Evidence("selection", f"{values[0]:g} times the identity of order {len(columns)}")
    return Evidence("selection", f"each row holds one entry, {values[0]:g}, and zeros")


def mask(matrix: Array) -> Evidence | None:
    """Recognise masks: two values, one of them minus infinity or so, or one on each side of a diagonal."""
    finite = matrix[np.isfinite(matrix)]
    low, high = float(matrix.min()), float(matrix.max())
    if low == high or np.isnan(matrix).any():
        return None
    two = bool(np.all((matrix == low) | (matrix == high)))
    if not two:
        return None
    if low <= -1e4 and (not finite.size or high in (0.0, 1.0)):
        return Evidence("mask", f"two values, {low:g} and {high:g}")
    shape = matrix.shape
    if min(shape) >= _ROWS:
        for offset in (-1, 0, 1):
            upper = np.triu(np.ones(shape, dtype=bool), offset)
            if np.ptp(matrix[upper]) == 0 and np.ptp(matrix[~upper]) == 0:
                return Evidence("mask", f"{high:g} on one side of a diagonal, {low:g} on the other")
    if low == 0 and high == 1 and min(shape) >= _ROWS:
        return Evidence("mask", "zeros and ones alone")
    return None


def grid(matrix: Array) -> Evidence | None:
    """Recognise grids and ranges: whole or half steps, few levels, even along an axis."""
    if matrix.size < _ROWS * _COLUMNS or not np.array_equal(np.round(2 * matrix), 2 * matrix):
        return None
    if np.ptp(matrix) == 0 or np.abs(matrix).max() > 2**24:
        return None
    for axis in (0, 1):
        steps = np.diff(matrix, axis=axis)
        if np.ptp(steps) == 0 and steps.flat[0] != 0:
            return Evidence("grid", f"counts in steps of {steps.flat[0]:g}")
    levels = [np.unique(column).size for column in matrix.T]
    few = matrix.shape[1] <= 4 and matrix.shape[0] >= 4 * _COLUMNS and max(levels) ** 2 <= 4 * matrix.shape[0]
    if few and all(_even(np.unique(column)) for column in matrix.T):
        return Evidence("grid", f"points of a grid of {' x '.join(str(n) for n in levels)}")
    return None


def _even(values: Array) -> bool:
    return values.size >= 2 and np.ptp(np.diff(values)) == 0


# --- filter banks -----------------------------------------------------------------------


def triangles(matrix: Array) -> Evidence | None:
    """Recognise banks of overlapping triangles (mel and the like): each row rises and falls in straight lines."""
    rows, columns = matrix.shape
    if rows < _ROWS or columns < 2 * _COLUMNS or columns < rows or matrix.min() < 0:
        return None
    filled = matrix > 0
    counts = filled.sum(axis=1)
    used = counts > 0
    if counts.sum() > 0.5 * matrix.size or used.sum() < 0.75 * rows or counts.max() < 3:
        return None
    first = np.argmax(filled, axis=1)
    last = columns - 1 - np.argmax(filled[:, ::-1], axis=1)
    if np.any((last - first + 1)[used] != counts[used]):
        return None
    if np.any(np.diff(first[used]) < 0) or np.any(np.diff(last[used]) < 0):
        return None
    wide = [number for number in np.flatnonzero(used) if counts[number] >= 6]
    straight = sum(_triangle(matrix[number, first[number] : last[number] + 1]) for number in wide)
    if straight < max(3, 0.9 * len(wide)):
        return None
    return Evidence("fixed_basis", f"a bank of {int(used.sum())} triangular filters along {columns} frequencies")


def _triangle(values: Array) -> bool:
    """Say whether values rise and then fall, each in a straight line; the tip may lie between two of them."""
    top = int(np.argmax(values))
    scale = 1e-3 * float(values.max())
    for flank in (values[:top], values[top + 1 :]):
        if flank.size >= 3 and np.abs(np.diff(flank, 2)).max() > scale:
            return False
    return bool(np.all(np.diff(values[: top + 1]) >= -scale) and np.all(np.diff(values[top:]) <= scale))


# --- sinusoids ----------------------------------------------------------------------------


def sinusoids(matrix: Array) -> Evidence | None:
    """Recognise rows that are sinusoids, bare or under a window, of frequencies in a fixed progression."""
    if matrix.shape[0] < _ROWS or matrix.shape[1] < _COLUMNS:
        return None
    used = matrix[np.abs(matrix).max(axis=1) > 1e-6 * np.abs(matrix).max()]
    if len(used) < _ROWS:
        return None
    return _bare(used) or _windowed(used) or _lines(used)


def _frequencies(signals: Array, window: Array, valid: NDArray[np.bool_]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Fit the recurrence ``s[t-1] + s[t+1] = 2 cos(w) s[t]`` of sinusoids; give w, residuals and verdicts.

    Anything smooth fits it roughly with w = 0, so the residual is held against how
    much a row bends; what does not bend at all fits by rounding alone.
    """
    middle, sides = signals[:, 1:-1], signals[:, :-2] + signals[:, 2:]
    weight = window[1:-1] * (valid[:-2] & valid[1:-1] & valid[2:])
    power = (weight * middle**2).sum(axis=1)
    safe = np.where(power > 0, power, 1.0)
    cosine = (weight * middle * sides).sum(axis=1) / safe / 2
    rest = (weight * (sides - 2 * cosine[:, None] * middle) ** 2).sum(axis=1)
    bend = np.sqrt((weight * (sides - 2 * middle) ** 2).sum(axis=1) / safe)
    residual = np.where((power > 0) & (np.abs(cosine) <= 1 + 1e-3), np.sqrt(rest / safe), np.inf)
    good = residual <= np.minimum(_RESIDUAL, 0.05 * bend + 2e-6)
    return np.arccos(np.clip(cosine, -1, 1)), residual, good


def _bare(matrix: Array) -> Evidence | None:
    """Recognise sinusoids without a window: cosine transforms, tables of positions and of rotary angles."""
    ones = np.ones(matrix.shape[1])
    frequencies, residual, good = _frequencies(matrix, ones, ones > 0)
    moved = np.sqrt((np.diff(matrix, axis=1) ** 2).sum(axis=1) / np.maximum((matrix**2).sum(axis=1), 1e-300))
    flat = moved < 1e-6
    if np.mean(good | flat) < 0.98 or np.count_nonzero(good & ~flat) < _ROWS:
        return None
    chosen = frequencies[good & ~flat]
    different = _different(chosen)
    if different < max(_ROWS // 2, len(chosen) // 4) or chosen.max() < 0.05:
        return None
    ratio = _progression(chosen)
    kind, detail = ("fixed_basis", "evenly") if ratio == "even" else ("position_table", "geometrically")
    if ratio is None:
        return None
    return Evidence(
        kind,
        f"{int(np.count_nonzero(good))} of {len(matrix)} rows are sinusoids of {different} frequencies "
        f"{detail} spaced (residual {float(np.median(residual[good])):.0e})",
    )


def _different(frequencies: Array) -> int:
    """Count frequencies that differ by more than rounding."""
    ordered = np.sort(frequencies)
    return 1 + int(np.count_nonzero(np.diff(ordered) > 1e-3 * np.maximum(ordered[1:], 1e-6)))


def _progression(frequencies: Array) -> str | None:
    """Say whether frequencies are evenly or geometrically spaced; None where they are neither."""
    ordered = np.sort(frequencies)
    different = ordered[np.r_[True, np.diff(ordered) > 1e-3 * np.maximum(ordered[1:], 1e-6)]]
    if different.size < 4:
        return None
    middle = different[len(different) // 8 : len(different) - len(different) // 8]
    steps = np.diff(middle)
    if np.median(np.abs(steps - np.median(steps))) < 0.05 * np.median(steps):
        return "even"
    ratios = np.diff(np.log(np.maximum(middle, 1e-12)))
    # Slow frequencies are read less exactly; the fast half decides.
    fast = ratios[len(ratios) // 2 :]
    return "geometric" if np.median(np.abs(fast - np.median(fast))) < 0.05 * np.median(fast) else None


def _windowed(matrix: Array) -> Evidence | None:
    """Recognise short-time Fourier bases: sinusoids under one window, which is their root sum of squares."""
    columns = matrix.shape[1]
    window = np.sqrt((matrix**2).sum(axis=0))
    valid = window > 1e-2 * window.max()
    valid[[0, columns // 2, columns - 1]] = False
    if valid.sum() < _COLUMNS // 2:
        return None
    safe = np.where(valid, window, 1.0)
    frequencies, residual, good = _frequencies(matrix / safe, window**2, valid)
    if np.mean(good) < 0.9 or np.count_nonzero(good) < _ROWS:
        return None
    different = _different(np.sort(np.round(frequencies[good], 3)))
    if different < max(_ROWS, len(matrix) // 4) or _progression(np.round(frequencies[good], 3)) != "even":
        return None
    return Evidence(
        "fixed_basis",
        f"{int(np.count_nonzero(good))} of {len(matrix)} rows are sinusoids under one window, of {different} "
        f"evenly spaced frequencies (residual {float(np.median(residual[good])):.0e})",
    )


def _lines(matrix: Array) -> Evidence | None:
    """Recognise rows with one spectral line each, as wide as their own length allows, in a fixed progression.

    Constant-Q kernels: windows of growing length, frequencies in geometric progression.
    """
    rows, columns = matrix.shape
    size = _OVERSAMPLE * columns
    if rows * size > 2**25:
        return None
    power = np.abs(np.fft.rfft(matrix, size, axis=1)) ** 2
    peaks = power.argmax(axis=1)
    if np.unique(peaks).size < _ROWS:
        return None
    found = np.zeros(rows, dtype=bool)
    centres = np.zeros(rows)
    for number, row in enumerate(matrix):
        support = np.flatnonzero(np.abs(row) > 1e-5 * np.abs(row).max())
        width = int(np.ceil(4.0 * size / (support[-1] - support[0] + 1)))
        first, last = max(0, peaks[number] - width), peaks[number] + width + 1
        line = power[number, first:last]
        found[number] = line.sum() > _LOBE * power[number].sum() and 2 * width < power.shape[1] // 2
        centres[number] = (line * np.arange(first, first + len(line))).sum() / line.sum()
    if np.mean(found) < 0.9 or np.count_nonzero(found) < _ROWS:
        return None
    chosen = centres[found]
    half = len(chosen) // 2
    for part in (chosen, chosen[:half]):
        progress = np.diff(part)
        if len(part) >= _ROWS and np.all(progress > 0) and _progression(part) is not None:
            return Evidence(
                "fixed_basis",
                f"{int(np.count_nonzero(found))} of {rows} rows are windowed sinusoids with one spectral line each, "
                f"of rising, {'evenly' if _progression(part) == 'even' else 'geometrically'} spaced frequencies",
            )
    return None


# --- what a few rows tell -----------------------------------------------------------------


def _sparse(sample: Array) -> bool:
    return bool((sample != 0).sum(axis=1).max() <= 1)


def _two_valued(sample: Array) -> bool:
    low, high = float(sample.min()), float(sample.max())
    return bool(np.all((sample == low) | (sample == high)))


def _stepped(sample: Array) -> bool:
    return bool(np.array_equal(np.round(2 * sample), 2 * sample))


def _banded(sample: Array) -> bool:
    return bool(sample.min() >= 0) and int(np.count_nonzero(sample)) <= 0.6 * sample.size


def _lined(sample: Array) -> bool:
    """Say whether most rows have their power in a few neighbouring frequencies."""
    sample = sample[:, :_SPAN]
    columns = sample.shape[1]
    if columns < _COLUMNS:
        return False
    power = np.abs(np.fft.rfft(sample, axis=1)) ** 2
    total = power.sum(axis=1)
    largest: Array = np.abs(sample).max(axis=1)
    filled = np.abs(sample) > (1e-5 * largest)[:, None]
    support = columns - np.argmax(filled[:, ::-1], axis=1) - np.argmax(filled, axis=1)
    summed = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)
    peaks = power.argmax(axis=1)
    width = np.ceil(2.0 * columns / np.maximum(support, 1)).astype(int)
    rows = np.arange(len(sample))
    last = np.minimum(peaks + width + 1, power.shape[1])
    line = summed[rows, last] - summed[rows, np.maximum(peaks - width, 0)]
    narrow = (line >= 0.8 * total) & (total > 0) & (4 * width < power.shape[1])
    used = int(np.count_nonzero(total > 0))
    return used > 0 and int(np.count_nonzero(narrow)) >= 0.6 * used


_TESTS: tuple[tuple[Callable[[Array], bool], Callable[[Array], Evidence | None]], ...] = (
    (_sparse, selection),
    (_two_valued, mask),
    (_stepped, grid),
    (_banded, triangles),
    (_lined, sinusoids),
)
