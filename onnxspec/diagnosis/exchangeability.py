"""Statistics of one matrix whose law is known when its entries are exchangeable noise.

Exchangeable means: any permutation of the entries is as likely as the one seen. Five
statistics need sums over the entries and the sum of the squared eigenvalues; their
mean and variance under permutation follow from the entries' own moments, for any law
of the entries. The other two are the largest eigenvalue and the distance of the
spectrum from the Marchenko-Pastur law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxspec._jit import jit
from onnxspec.laws import marchenko_pastur, tracy_widom
from onnxspec.spectra.slabs import Slabs

__all__ = [
    "Entries",
    "Matrix",
    "clip_tails",
    "correlation_score",
    "dispersion_scores",
    "distance_p",
    "edge_and_distance",
    "edge_p",
    "entry_sums",
    "two_sided_p",
]

Array = NDArray[np.float64]
Matrix = Array | Slabs

CLIP_WIDTH = 2.5
"""Two standard deviations for normal entries: tails of any law become lighter than normal ones."""

CLIP_STEPS = 8
"""Laws as heavy as Cauchy's need 5; where most entries are equal the range shrinks towards them for ever."""


@dataclass(frozen=True)
class Entries:
    """Sums over the entries of W, which are centred and divided by their standard deviation.

    Attributes
    ----------
    shape : tuple of int
        Of W.
    mean, scale : float
        Mean and standard deviation of the entries.
    row_sums, col_sums, row_squares, col_squares : ndarray of float64
        Sums of the standardised entries and of their squares, over each row and column.
    moments : ndarray of float64, shape (4,)
        Means of their powers 3, 4, 6 and 8.
    """

    shape: tuple[int, int]
    mean: float
    scale: float
    row_sums: Array
    col_sums: Array
    row_squares: Array
    col_squares: Array
    moments: Array

    @property
    def excess_kurtosis(self) -> float:
        """Fourth moment of the entries less that of normal ones, 3."""
        return float(self.moments[1]) - 3.0

    @property
    def mean_strength(self) -> float:
        """Theta of the rank-one part that the mean makes, in units of the BBP threshold."""
        n, m = self.shape
        return abs(self.mean) / self.scale * float((n * m) ** 0.25)

    def norm_cv(self, axis: int) -> tuple[float, float]:
        """Give the coefficient of variation of the rows' (0) or columns' (1) norms, and that of noise."""
        squares = self.row_squares if axis == 0 else self.col_squares
        norms = np.sqrt(squares)
        other = self.shape[1 - axis]
        expected = 0.5 * math.sqrt(max(float(self.moments[1]) - 1.0, 0.0) / other)
        return float(norms.std() / norms.mean()), expected


@jit
def _power_sums(W: Array, mean: float) -> tuple[Array, Array, Array, Array, Array]:
    """Sum the centred entries and their squares over rows and columns, and higher powers over all."""
    n, m = W.shape
    row1, row2 = np.zeros(n), np.zeros(n)
    col1, col2 = np.zeros(m), np.zeros(m)
    powers = np.zeros(4)
    for i in range(n):
        s1 = s2 = s3 = s4 = s6 = s8 = 0.0
        for j in range(m):
            a = W[i, j] - mean
            q = a * a
            f = q * q
            s1 += a
            s2 += q
            s3 += q * a
            s4 += f
            s6 += f * q
            s8 += f * f
            col1[j] += a
            col2[j] += q
        row1[i] = s1
        row2[i] = s2
        powers[0] += s3
        powers[1] += s4
        powers[2] += s6
        powers[3] += s8
    return row1, col1, row2, col2, powers


@jit
def _clipped_sums(W: Array, centre: float, bound: float) -> tuple[float, float]:
    """Sum how far the entries, clipped to a range, lie from its centre: with the sign, and without."""
    n, m = W.shape
    total = size = 0.0
    for i in range(n):
        part = width = 0.0
        for j in range(m):
            d = min(max(W[i, j] - centre, -bound), bound)
            part += d
            width += abs(d)
        total += part
        size += width
    return total, size


def clip_tails(W: Matrix, centre: float) -> Matrix:
    """Clip the entries to `CLIP_WIDTH` mean absolute deviations of the clipped entries.

    A function of each entry alone, which leaves exchangeable entries exchangeable; the
    range depends on no order of the entries.

    Parameters
    ----------
    W : ndarray of float64, shape (n, m), C-contiguous, or Slabs without clipping
        Not all entries equal.
    centre : float
        Where to start, the mean of the entries.

    Returns
    -------
    ndarray of float64, shape (n, m), or Slabs
        Centred at about 0, and divided by the power of two that brings the range to about 1.
    """
    bound = math.inf
    count = W.shape[0] * W.shape[1]
    for _ in range(CLIP_STEPS):
        sums = partial(_clipped_sums, centre=centre, bound=bound)
        found = list(W.each(sums)) if isinstance(W, Slabs) else [sums(W)]
        centre += sum(total for total, _ in found) / count
        previous, bound = bound, CLIP_WIDTH * sum(size for _, size in found) / count
        if bound >= 0.9 * previous:
            break
    exponent = math.frexp(bound)[1]
    if isinstance(W, Slabs):
        scaled = (math.ldexp(centre, -exponent), math.ldexp(bound, -exponent))
        return replace(W, exponent=W.exponent + exponent, centre=scaled[0], bound=scaled[1])
    return np.ldexp(np.clip(W - centre, -bound, bound), -exponent)


def entry_sums(W: Matrix) -> Entries | None:
    """Sum over the entries of a matrix.

    Parameters
    ----------
    W : ndarray of float64, shape (n, m), C-contiguous, or Slabs
        Finite, of ordinary magnitude (its squares must not overflow).

    Returns
    -------
    Entries or None
        ``None`` where all entries are equal.
    """
    mean = float(W.mean())
    row1, col1, row2, col2, powers = _sums_of_slabs(W, mean) if isinstance(W, Slabs) else _power_sums(W, mean)
    size = W.shape[0] * W.shape[1]
    variance = float(row2.sum()) / size
    scale = math.sqrt(variance)
    if scale <= 1e-12 * abs(mean):
        return None
    shape = (W.shape[0], W.shape[1])
    moments = powers / size / np.array([scale * variance, variance**2, variance**3, variance**4])
    for sums, unit in ((row1, scale), (col1, scale), (row2, variance), (col2, variance)):
        sums /= unit  # noqa: PLW2901 - in place: of a tall matrix they are long
    return Entries(shape, mean, scale, row1, col1, row2, col2, moments)


def _sums_of_slabs(W: Slabs, mean: float) -> tuple[Array, Array, Array, Array, Array]:
    """Do what `_power_sums` does, slab by slab."""
    line1, line2 = np.empty(W.N), np.empty(W.N)
    found = []
    for start, (first, one, second, two, power) in zip(W.starts(), W.each(partial(_power_sums, mean=mean))):
        lines = slice(start, start + len(first))
        line1[lines], line2[lines] = first, second
        found.append((one, two, power))
    other1, other2, powers = (np.sum([sums[i] for sums in found], axis=0) for i in range(3))
    return (line1, other1, line2, other2, powers) if W.axis == 0 else (other1, line1, other2, line2, powers)


def dispersion_scores(entries: Entries) -> dict[str, float | None]:
    """Compare the rows' and the columns' means and norms with those of permuted entries.

    Parameters
    ----------
    entries : Entries
        From `entry_sums`.

    Returns
    -------
    dict of str to (float or None)
        ``row_means``, ``col_means``, ``row_norms``, ``col_norms``: normal scores, positive
        where they differ more than those of noise. ``None`` where all entries have the
        same size, or one is all there is. The statistic is the sum of squares between groups of the analysis of
        variance, of the entries and of their squares; its mean and variance over all
        permutations are exact (as in Pitman, Biometrika 29 (1937) 322), its law is
        taken as a gamma law.
    """
    n, m = entries.shape
    size = n * m
    _, m4, m6, m8 = entries.moments.tolist()
    means = (float(size), size * m4)
    y2 = size * (m4 - 1.0)
    y4 = size * (m8 - 4.0 * m6 + 6.0 * m4 - 3.0)
    flat = m4 - 1.0 < 1e-9
    return {
        "row_means": _between_groups(entries.row_sums, *means, n, m),
        "col_means": _between_groups(entries.col_sums, *means, m, n),
        "row_norms": None if flat else _between_groups(entries.row_squares - m, y2, y4, n, m),
        "col_norms": None if flat else _between_groups(entries.col_squares - n, y2, y4, m, n),
    }


CONSTANT = 1e-9
"""Variance over squared mean below which it is a rounding error; that of iid entries is 2 over the groups."""


def _between_groups(sums: Array, s2: float, s4: float, groups: int, size: int) -> float | None:
    """Score the sum of squared group sums of values whose sum is 0 and whose powers add up to s2 and s4.

    None where permutations hardly change it: one value is all there is.
    """
    n = groups * size
    pairs = float(size * (size - 1))
    p4, p31 = s4 / n, -s4 / n / (n - 1)
    p22 = (s2 * s2 - s4) / n / (n - 1)
    p211 = (2.0 * s4 - s2 * s2) / n / (n - 1) / (n - 2)
    p1111 = (3.0 * s2 * s2 - 6.0 * s4) / n / (n - 1) / (n - 2) / (n - 3)
    fourth = size * p4 + pairs * (4.0 * p31 + 3.0 * p22) + pairs * (size - 2) * (6.0 * p211 + (size - 3) * p1111)
    crossed = size * size * p22 + 2.0 * size * pairs * p211 + pairs * pairs * p1111
    mean = s2 * (groups - 1.0) * size / (n - 1.0)
    variance = groups * fourth + groups * (groups - 1.0) * crossed - mean * mean
    if variance <= CONSTANT * mean * mean:
        return None
    return _gamma_score(float(sums @ sums) / mean, mean * mean / variance)


def correlation_score(entries: Entries, W: Matrix, squared_evals: float) -> float:
    """Score how much the rows (and so the columns) of W are correlated.

    The statistic sums ``a_ij a_ik a_lj a_lk`` over all rectangles of two rows and two
    columns, a the standardised entries. For iid entries of any law different rectangles
    are uncorrelated, so its mean is 0, its variance the number of rectangles and its
    skewness ``2 (n + m - 4) / sqrt(rectangles)``; it is the sum of squared singular
    values to the fourth power less what the norms of rows and columns give.

    Parameters
    ----------
    entries : Entries
        From `entry_sums`.
    W : ndarray of float64, shape (n, m), or Slabs
        The matrix.
    squared_evals : float
        Sum of the fourth powers of the singular values of W.

    Returns
    -------
    float
        Normal score; negative for rows closer to orthogonal than those of noise.
    """
    n, m = entries.shape
    mu = entries.mean / entries.scale
    r1, c1 = entries.row_sums, entries.col_sums
    total = squared_evals / entries.scale**4
    # the same sum for the centred matrix
    total -= 4.0 * mu * float(r1 @ W.dot(c1)) / entries.scale
    total -= 2.0 * mu * mu * (m * float(c1 @ c1) + n * float(r1 @ r1)) + mu**4 * float(n * m) ** 2
    total -= float(entries.row_squares @ entries.row_squares) + float(entries.col_squares @ entries.col_squares)
    total += n * m * float(entries.moments[1])
    rectangles = 0.25 * n * (n - 1) * m * (m - 1)
    skewness = 2.0 * (n + m - 4) / math.sqrt(rectangles)
    shape = 4.0 / skewness**2
    return _gamma_score(1.0 + total / (4.0 * math.sqrt(rectangles * shape)), shape)


def _gamma_score(ratio: float, shape: float) -> float:
    """Give the normal score of a gamma variable over its mean (Wilson and Hilferty, PNAS 17 (1931) 684)."""
    return float((np.cbrt(max(ratio, 0.0)) - 1.0 + 1.0 / (9.0 * shape)) * 3.0 * math.sqrt(shape))


def edge_and_distance(evals: Array, scale: float, N: int) -> tuple[float, float]:
    """Give the largest eigenvalue on the Tracy-Widom scale and the KS distance from the law, times M.

    Parameters
    ----------
    evals : ndarray of float64, shape (M,)
        Eigenvalues of ``X = W^T W / N``, descending.
    scale : float
        Standard deviation of the entries.
    N : int
        Rows of W, at least M.

    Returns
    -------
    edge, distance : float
        The noise level is that of all entries, whose error is far smaller than that of the median.
    """
    M = evals.size
    centre, width = tracy_widom.centring(N, M, scale)
    cdf = marchenko_pastur.cdf(evals[::-1] / float(evals.mean()), N / M) * M - np.arange(M)
    return (float(evals[0]) - centre) / width, float(max(cdf.max(), (1.0 - cdf).max()))


def two_sided_p(score: float) -> float:
    """Give the two-sided p-value of a normal score."""
    return math.erfc(abs(score) / math.sqrt(2.0))


def edge_p(edge: ArrayLike, kurtosis: ArrayLike, null: Array) -> Array:
    """Give the chance that noise has a larger largest eigenvalue.

    Parameters
    ----------
    edge : array_like of float
        From `edge_and_distance`.
    kurtosis : array_like of float
        Excess kurtosis of the entries.
    null : ndarray of float64, shape (6,)
        Row of the null table for this shape: mean, standard deviation and slope by the
        kurtosis, of the edge and of the log of the distance.

    Returns
    -------
    ndarray of float64
    """
    standard = (np.asarray(edge) - null[0] - null[2] * np.asarray(kurtosis)) / null[1]
    return tracy_widom.sf(tracy_widom.MEAN + math.sqrt(tracy_widom.VARIANCE) * standard)


def distance_p(distance: ArrayLike, kurtosis: ArrayLike, null: Array) -> Array:
    """Give the chance that the spectrum of noise lies farther from its law.

    Parameters
    ----------
    distance : array_like of float
        M times the KS distance, from `edge_and_distance`.
    kurtosis, null
        As in `edge_p`.

    Returns
    -------
    ndarray of float64
        The log of the distance is taken as normal.
    """
    standard = (np.log(np.asarray(distance)) - null[3] - null[5] * np.asarray(kurtosis)) / null[4]
    return np.array([0.5 * math.erfc(x / math.sqrt(2.0)) for x in standard.ravel().tolist()]).reshape(standard.shape)
