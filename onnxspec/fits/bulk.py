"""Fit of the Marchenko-Pastur bulk: noise level, edges, spikes beyond them, and how well the law holds.

Sigma is found by the iterated median: the median of the bulk is compared with that
of the law, the eigenvalues beyond the edge are taken out, and again. The edge is
the Tracy-Widom quantile at the stated level, widened by the error of sigma.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxspec.fits._bulk_null import distance_p, variance_null
from onnxspec.laws import marchenko_pastur, spiked, tracy_widom

__all__ = ["GOE_SPACING_RATIO", "MIN_BULK", "BulkFit", "fit_bulk", "gavish_donoho_factor"]

Array = NDArray[np.float64]

MIN_BULK = 10
"""Fewest non-zero eigenvalues for a bulk fit; below, the reason is ``too_small``."""

GOE_SPACING_RATIO = 0.5307
"""Mean ratio of consecutive spacings in the bulk of a real random matrix (Atas et al., PRL 110 (2013) 084101)."""

_FLAT = 0.1
_KURTOSIS = (-1.5, 6.0)  # beyond it the term of first order says little
_Q_POINTS = 32


@dataclass(frozen=True)
class BulkFit:
    """Marchenko-Pastur bulk of one correlation matrix ``X = W^T W / N``, and its spikes.

    Where no fit exists, its numbers are ``None`` and `reason` says why. Eigenvalues
    are in units of X.

    Attributes
    ----------
    N, M : int
        Rows and columns of W.
    Q : float
        ``N / M``.
    level : float
        Chance, per matrix, that noise has an eigenvalue beyond `spike_edge`.
    zeros : int
        Eigenvalues that are 0 at the weights' precision; the fit is conditional on
        the others, as if W had ``M - zeros`` columns.
    sigma_mp, sigma_mp_stderr : float or None
        Standard deviation of the noise in the entries of W, and its standard error.
    lambda_minus, lambda_plus : float or None
        Edges ``sigma_mp^2 (1 -+ 1/sqrt Q)^2``.
    delta_tw : float or None
        First-order scale of the fluctuations of the largest noise eigenvalue.
    spike_edge : float or None
        Eigenvalues beyond it are spikes.
    spikes, spikes_95 : int or None
        Spikes at `level`, and at the 5 % level.
    spike_fraction : float or None
        ``spikes / M``.
    spike_thetas, spike_strengths : tuple of float
        Strength of each spike as ``theta = d / (sigma_mp sqrt N)`` and as singular value d
        of the signal, strongest first; found in the noise that the other spikes leave.
    sub_threshold_bound : float or None
        ``sigma_mp (N M)^(1/4)``: a signal with d below it leaves no spike.
    k_gd : int or None
        Singular values above Gavish and Donoho's threshold: the rank to keep for the
        least squared error of a denoised W. Not a count of spikes.
    D_bulk, D_bulk_p : float or None
        KS distance between the bulk and its law; chance that noise has a larger one.
    mp_softrank : float or None
        ``lambda_plus / lambda_max``.
    mass_above_edge : float or None
        Share of the spikes in the sum of all eigenvalues.
    tracy_widom_p : float or None
        Chance that the largest eigenvalue of noise at `sigma_mp` lies beyond lambda_max.
    Q_eff : float or None
        Aspect ratio that fits the bulk best if left free, within ``max(1, Q/8)`` and
        ``8 Q``; correlated rows lower it. A diagnostic only; ``None`` where the search fails.
    spacing_ratio, spacing_ratio_stderr : float or None
        Mean ratio of consecutive spacings of the bulk's singular values, and its
        standard error; `GOE_SPACING_RATIO` for noise, 0.386 for independent values.
    reason : str or None
        ``bulk_failed``, ``too_small``, ``flat_spectrum``, ``zero_matrix``, ``non_finite``.
    """

    N: int
    M: int
    Q: float
    level: float
    zeros: int
    sigma_mp: float | None = None
    sigma_mp_stderr: float | None = None
    lambda_minus: float | None = None
    lambda_plus: float | None = None
    delta_tw: float | None = None
    spike_edge: float | None = None
    spikes: int | None = None
    spikes_95: int | None = None
    spike_fraction: float | None = None
    spike_thetas: tuple[float, ...] = ()
    spike_strengths: tuple[float, ...] = ()
    sub_threshold_bound: float | None = None
    k_gd: int | None = None
    D_bulk: float | None = None
    D_bulk_p: float | None = None
    mp_softrank: float | None = None
    mass_above_edge: float | None = None
    tracy_widom_p: float | None = None
    Q_eff: float | None = None
    spacing_ratio: float | None = None
    spacing_ratio_stderr: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Noise:
    """Noise that is left of W when k spikes are taken out: n x m entries, as long as N rows would be."""

    N: int
    n: int
    m: int
    variance: float  # of one entry
    error: float  # relative standard error of `variance`
    kurtosis: float  # excess kurtosis of the entries
    thetas: Array  # strengths of the spikes that were taken out

    @property
    def q(self) -> float:
        """Aspect ratio of the remaining noise."""
        return self.n / self.m

    @property
    def unit(self) -> float:
        """Eigenvalue of X that is 1 in the law of n x m noise of unit variance."""
        return self.variance * self.n / self.N

    def largest(self) -> tuple[float, float]:
        """Give centre and scale of the largest noise eigenvalue in units of the Tracy-Widom law.

        The error of `variance` widens the law about its mean; it does not move the mean.
        """
        mu, s = tracy_widom.centring(self.n, self.m)
        mu += marchenko_pastur.kurtosis_edge(self.n, self.m, self.kurtosis)
        wide = math.hypot(s, mu * self.error / math.sqrt(tracy_widom.VARIANCE))
        return self.unit * (mu + (s - wide) * tracy_widom.MEAN), self.unit * wide

    def edge(self, level: float) -> float:
        """Give the eigenvalue that noise exceeds with probability `level`."""
        centre, scale = self.largest()
        return centre + tracy_widom.upper_quantile(level) * scale

    def displaced(self, t: ArrayLike) -> Array:
        """Give how many eigenvalues more lie below an angle than for Gaussian noise alone."""
        count = marchenko_pastur.kurtosis_count(t, self.kurtosis)
        return count + spiked.displaced_count(t, self.thetas, self.q) if self.thetas.size else count


def fit_bulk(
    evals_desc: ArrayLike, N: int, M: int, *, level: float = 0.01, zeros: int = 0, kurtosis: float = 0.0
) -> BulkFit:
    """Fit the bulk of one correlation matrix and count its spikes.

    Parameters
    ----------
    evals_desc : array_like of float, shape (M,)
        Eigenvalues of ``X = W^T W / N``, descending.
    N, M : int
        Rows and columns of W, ``N >= M``.
    level : float
        Chance, per matrix, of calling noise a spike; above 0, at most 0.1.
    zeros : int
        How many of the eigenvalues (the last ones) count as 0.
    kurtosis : float
        Excess kurtosis of the entries of W, which moves the median and the edge by
        terms of order 1/M; used within -1.5 and 6. Give it wherever W is at hand: at
        the 1 % level, 10 % of 64 x 64 Laplace matrices have a spike otherwise.

    Returns
    -------
    BulkFit

    Raises
    ------
    ValueError
        Shapes, `level`, `zeros` or `kurtosis` make no sense.
    """
    evals = np.asarray(evals_desc, dtype=np.float64)
    if evals.shape != (M,) or not 1 <= M <= N or not 0 <= zeros <= M:
        raise ValueError(f"{evals.shape} eigenvalues with {zeros} zeros do not belong to a matrix of {N} x {M}.")
    if not 0.0 < level <= 0.1:
        raise ValueError(f"level is {level}; it must be above 0 and at most 0.1.")
    if not math.isfinite(kurtosis):
        raise ValueError("The kurtosis must be finite.")
    empty = BulkFit(N=N, M=M, Q=N / M, level=level, zeros=zeros)
    reason = _refusal(evals, N, zeros)
    if reason:
        return replace(empty, reason=reason)
    # An even power of two changes no digit of the result and keeps huge or tiny eigenvalues in range.
    scale = math.ldexp(1.0, 2 * (math.frexp(float(evals[0]))[1] // 2))
    positive = np.maximum(evals[: M - zeros] / scale, 0.0)
    kurtosis = min(max(kurtosis, _KURTOSIS[0]), _KURTOSIS[1])
    noise, spikes = _iterated_median(positive, N, level, kurtosis)
    if 2 * spikes > positive.size:
        return replace(empty, reason="bulk_failed")
    return _scaled(_describe(empty, positive, noise, spikes), scale)


def gavish_donoho_factor(Q: float) -> float:
    """Give the optimal hard threshold for singular values, in units of their median.

    Gavish and Donoho, IEEE Trans. Inf. Theory 60 (2014) 5040, unknown noise level.

    Parameters
    ----------
    Q : float
        Aspect ratio ``N / M``, at least 1.

    Returns
    -------
    float
        2.858 for Q = 1, 2.171 for Q = 2.
    """
    c = 1.0 / Q
    threshold = 2.0 * (c + 1.0) + 8.0 * c / (c + 1.0 + math.sqrt(c * c + 14.0 * c + 1.0))
    return math.sqrt(threshold / marchenko_pastur.median(Q))


def _refusal(evals: Array, N: int, zeros: int) -> str | None:
    """Say why no bulk can be fitted, or nothing."""
    count = evals.size - zeros
    if not bool(np.all(np.isfinite(evals))):
        return "non_finite"
    if evals[0] <= 0.0 or count == 0:
        return "zero_matrix"
    if count < MIN_BULK:
        return "too_small"
    positive = evals[:count] / evals[0]
    mean = float(positive.sum()) / count
    off = positive - mean
    spread = math.sqrt(float(off @ off) / count) / mean
    if positive[count // 2] <= 0.0:
        return "bulk_failed"
    # Noise has the relative spread 1/sqrt Q; an orthogonal matrix has none.
    return "flat_spectrum" if spread < _FLAT * math.sqrt(count / N) else None


def _iterated_median(positive: Array, N: int, level: float, kurtosis: float) -> tuple[_Noise, int]:
    """Find the noise level by taking out spikes until no further one shows up."""
    noise = _noise_without(positive, N, np.zeros(0), kurtosis)
    spikes = 0
    for _ in range(30):
        found = _count_above(positive, noise.edge(level))
        if found <= spikes:
            break
        spikes = found
        if 2 * spikes > positive.size or positive.size - spikes < MIN_BULK:
            return noise, positive.size
        noise = _refined(positive, spikes, noise)
    return (_refined(positive, spikes, noise) if spikes else noise), spikes


def _refined(positive: Array, spikes: int, noise: _Noise) -> _Noise:
    """Estimate the noise again, with the strengths that the spikes have in the noise known so far."""
    return _noise_without(positive, noise.N, _thetas(positive[:spikes], positive.size, noise), noise.kurtosis)


def _count_above(descending: Array, threshold: float) -> int:
    """Count the values above a threshold."""
    return int(descending.size - np.searchsorted(descending[::-1], threshold, side="right"))


def _noise_without(positive: Array, N: int, thetas: Array, kurtosis: float) -> _Noise:
    """Estimate the noise by the median of what remains without the spikes of the given strengths."""
    k = thetas.size
    n, m = N - k, positive.size - k
    q = n / m
    mean, error = variance_null(m, q)
    unit = _Noise(N, n, m, 1.0, error / mean, kurtosis, thetas)
    t = marchenko_pastur.angle_of_probability(0.5, q)
    if k or kurtosis:
        # Spikes of finite strength push the bulk down, heavy entries stretch it: its median is another quantile.
        for _ in range(2):
            p = 0.5 - float(unit.displaced(t)) / m
            t = marchenko_pastur.angle_of_probability(min(max(p, 0.05), 0.95), q)
    expected = 1.0 + 1.0 / q - 2.0 * math.cos(t) / math.sqrt(q)
    return replace(unit, variance=_middle(positive[k:]) * (N / n) / (expected * mean))


def _middle(descending: Array) -> float:
    """Give the median of sorted values."""
    count = descending.size
    return 0.5 * float(descending[(count - 1) // 2] + descending[count // 2])


def _thetas(spikes: Array, M: int, noise: _Noise) -> Array:
    """Give the strength of each spike in the noise that the other spikes leave, n x m.

    In units of ``sigma sqrt(n)``; at least at the threshold.
    """
    n, m = noise.N - spikes.size + 1, M - spikes.size + 1
    c = m / n
    excess = np.maximum(spikes * (noise.N / (n * noise.variance)) - 1.0 - c, 2.0 * math.sqrt(c))
    root = np.sqrt(excess - 2.0 * math.sqrt(c)) * np.sqrt(excess + 2.0 * math.sqrt(c))
    thetas: Array = np.sqrt(0.5 * (excess + root))
    return thetas


def _describe(empty: BulkFit, positive: Array, noise: _Noise, spikes: int) -> BulkFit:
    """Fill in everything that follows from the noise level and the number of spikes."""
    N, M, Q = empty.N, empty.M, empty.Q
    sigma = math.sqrt(noise.variance)
    low, high = marchenko_pastur.edges(Q, sigma)
    strengths = _thetas(positive[:spikes], positive.size, noise) * (sigma * math.sqrt(N - spikes + 1))
    centre, scale = replace(noise, n=N, m=positive.size).largest()
    distance = _distance(positive[spikes:], noise)
    ratio, ratio_error = _spacing_ratio(np.sqrt(positive[spikes:]))
    top = float(positive[0])
    return replace(
        empty,
        sigma_mp=sigma,
        sigma_mp_stderr=0.5 * sigma * noise.error,
        lambda_minus=low,
        lambda_plus=high,
        delta_tw=tracy_widom.first_order_scale(N, M, sigma),
        spike_edge=noise.edge(empty.level),
        spikes=spikes,
        spikes_95=_count_above(positive, noise.edge(0.05)),
        spike_fraction=spikes / M,
        spike_thetas=tuple((strengths / (sigma * math.sqrt(N))).tolist()),
        spike_strengths=tuple(strengths.tolist()),
        sub_threshold_bound=spiked.sub_threshold_bound(N, M, sigma),
        k_gd=_denoising_rank(positive, Q),
        D_bulk=distance,
        D_bulk_p=distance_p(distance, noise.m, noise.q),
        mp_softrank=high / top,
        mass_above_edge=float(positive[:spikes].sum() / positive.sum()),
        tracy_widom_p=float(tracy_widom.sf((top - centre) / scale)),
        Q_eff=_free_aspect_ratio(positive[spikes:], noise.q),
        spacing_ratio=ratio,
        spacing_ratio_stderr=ratio_error,
    )


def _denoising_rank(positive: Array, Q: float) -> int:
    """Count the singular values above Gavish and Donoho's threshold."""
    sv = np.sqrt(positive)
    return _count_above(sv, gavish_donoho_factor(Q) * _middle(sv))


def _distance(bulk: Array, noise: _Noise) -> float:
    """Give the KS distance between the bulk and its law, displaced by the spikes."""
    t = marchenko_pastur.angle(bulk[::-1] / noise.unit, noise.q)
    expected = noise.m * marchenko_pastur.probability_of_angle(t, noise.q)
    if noise.thetas.size or noise.kurtosis:
        nodes = np.linspace(0.0, math.pi, 129)
        expected = expected + np.interp(t, nodes, noise.displaced(nodes))
    excess = expected - np.arange(noise.m)
    return float(max(np.max(excess), np.max(1.0 - excess))) / noise.m


def _spacing_ratio(sv: Array) -> tuple[float | None, float | None]:
    """Give the mean ratio of consecutive spacings, and its standard error."""
    gaps = sv[:-1] - sv[1:]
    larger = np.maximum(gaps[:-1], gaps[1:])
    usable = larger > 0.0
    count = int(np.count_nonzero(usable))
    if count < 3:
        return None, None
    ratios = np.minimum(gaps[:-1], gaps[1:])[usable] / larger[usable]
    mean = float(ratios.sum()) / count
    off = ratios - mean
    return mean, math.sqrt(float(off @ off)) / count


def _free_aspect_ratio(bulk: Array, Q: float) -> float | None:
    """Find the aspect ratio whose law, matched at the median, comes closest to the bulk.

    Least squares over quantiles by Gauss-Newton steps in log Q, the derivative by secants.
    """
    points = min(bulk.size, _Q_POINTS)
    p = (np.arange(points) + 0.5) / points
    values = np.interp(p * bulk.size - 0.5, np.arange(bulk.size), bulk[::-1])
    values /= _middle(bulk)

    def gaps(log_q: float) -> Array:
        q = math.exp(log_q)
        return marchenko_pastur.cdf(values * marchenko_pastur.unit_median(q), q) - p

    low, high = math.log(max(1.0, Q / 8.0)), math.log(8.0 * Q)
    old, new = math.log(Q), math.log(Q) + 0.1
    gap_old, gap_new = gaps(old), gaps(new)
    for _ in range(40):
        rise = (gap_new - gap_old) / (new - old)
        curvature = float(rise @ rise)
        if curvature <= 0.0:
            return None
        step = min(max(-float(rise @ gap_new) / curvature, -0.5), 0.5)
        old, gap_old, new = new, gap_new, min(max(new + step, low), high)
        if abs(new - old) < 1e-5:
            return math.exp(new)
        gap_new = gaps(new)
    return None


def _scaled(fit: BulkFit, scale: float) -> BulkFit:
    """Bring a fit of eigenvalues divided by `scale`, an even power of two, back to their units."""
    root = math.sqrt(scale)
    changed: dict[str, Any] = {}
    for name in ("lambda_minus", "lambda_plus", "delta_tw", "spike_edge"):
        changed[name] = getattr(fit, name) * scale
    for name in ("sigma_mp", "sigma_mp_stderr", "sub_threshold_bound"):
        changed[name] = getattr(fit, name) * root
    changed["spike_strengths"] = tuple(d * root for d in fit.spike_strengths)
    return replace(fit, **changed)
