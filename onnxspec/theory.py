"""The data of the seeds' theory figures: Marchenko-Pastur laws, heavy-tailed spectra, alpha against mu.

`onnxspec.plots` draws them and ``onnxspec theory`` writes them as PNG and CSV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from onnxspec.fits.power_law import fit_power_law
from onnxspec.laws import heavy_tailed as entry_laws
from onnxspec.laws import marchenko_pastur
from onnxspec.results import PowerLawFit
from onnxspec.settings import KSMode
from onnxspec.spectra.eigen import spectrum

__all__ = [
    "ENTRIES",
    "MUS",
    "QS",
    "SIGMAS",
    "AlphaOfMu",
    "Entries",
    "HeavyTailedSpectrum",
    "MPCurve",
    "alpha_of_mu",
    "alpha_rows",
    "draw_entries",
    "heavy_tailed_rows",
    "heavy_tailed_spectra",
    "mp_curves",
    "mp_rows",
]

Array = NDArray[np.float64]
Entries = Literal["lomax", "sym", "pareto"]
ENTRIES: tuple[Entries, ...] = get_args(Entries)

QS, SIGMAS, MUS = (1.0, 2.0, 3.0, 5.0), (0.7, 1.0, 1.3), (1.0, 3.0, 5.0)
CURVE_POINTS = 200
FEWEST_IN_TAIL = 2  # the published fits had no floor


@dataclass(frozen=True, eq=False)
class MPCurve:
    """One Marchenko-Pastur law, and the eigenvalues of one Gaussian matrix beside it.

    Attributes
    ----------
    varies : {"Q", "sigma"}
        What differs within the curve's group.
    Q, sigma : float
        Aspect ratio of the law, standard deviation of the entries.
    x, density, cdf : ndarray of float64, shape (points,)
        The law over its support; 0 is left out where the density is infinite there.
    N, M : int
        Shape of the matrix that was drawn; ``N / M`` is Q up to rounding.
    evals : ndarray of float64, shape (M,)
        Its eigenvalues, descending.
    """

    varies: Literal["Q", "sigma"]
    Q: float
    sigma: float
    x: Array
    density: Array
    cdf: Array
    N: int
    M: int
    evals: Array


@dataclass(frozen=True, eq=False)
class HeavyTailedSpectrum:
    """The spectrum of one heavy-tailed matrix and its power law.

    Attributes
    ----------
    mu : float
        Tail exponent of the entries, ``P(|W_ij| > x) ~ x^-mu``.
    entries : {"lomax", "sym", "pareto"}
        Law of the entries, as in `draw_entries`.
    scale : float
        What W was multiplied with, so that the spectra share one axis.
    N, M : int
        Shape of W.
    evals : ndarray of float64, shape (rank,)
        Eigenvalues of ``X = W^T W / N``, descending.
    fit : PowerLawFit
        Their power law.
    """

    mu: float
    entries: Entries
    scale: float
    N: int
    M: int
    evals: Array
    fit: PowerLawFit


@dataclass(frozen=True)
class AlphaOfMu:
    """The alpha fitted to one heavy-tailed matrix; the numbers are those of `PowerLawFit`."""

    mu: float
    draw: int
    entries: Entries
    N: int
    M: int
    alpha: float | None
    alpha_stderr: float | None
    xmin: float | None
    D: float | None
    n_tail: int | None


def draw_entries(rng: np.random.Generator, entries: Entries, mu: float, size: tuple[int, int]) -> Array:
    """Draw a matrix with heavy-tailed entries, ``P(|w| > x) ~ x^-mu``.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the randomness.
    entries : {"lomax", "sym", "pareto"}
        ``lomax``: ``(1 + x)^-mu``, positive, as in the published figures; ``sym``: the
        same with random signs; ``pareto``: random signs and ``|w| >= 1``.
    mu : float
        Tail exponent, positive.
    size : (int, int)
        Shape of the matrix.

    Returns
    -------
    ndarray of float64, shape `size`

    Raises
    ------
    ValueError
        `entries` is unknown, or `mu` is no tail exponent.
    """
    if entries not in ENTRIES:
        raise ValueError(f"entries is {entries!r}; it must be one of {', '.join(ENTRIES)}.")
    if entries == "pareto":
        return entry_laws.sample_symmetric_pareto(rng, mu, size)
    values = entry_laws.sample_lomax(rng, mu, size)
    if entries == "sym":
        np.negative(values, out=values, where=rng.random(size) < 0.5)
    return values


def mp_curves(
    Qs: Sequence[float] = QS,
    sigmas: Sequence[float] = SIGMAS,
    *,
    fixed_Q: float = 3.0,
    M: int = 500,
    points: int = CURVE_POINTS,
    seed: int = 0,
) -> list[MPCurve]:
    """Give the laws for several Q at sigma = 1, then for several sigma at one Q.

    Marchenko and Pastur, Math. USSR-Sb. 1 (1967) 457; the figure of seed 001,
    "Random Matrix Theory 102'".

    Parameters
    ----------
    Qs : sequence of float
        Aspect ratios, each at least 1, at sigma = 1.
    sigmas : sequence of float
        Standard deviations of the entries, at `fixed_Q`.
    fixed_Q : float
        Aspect ratio of the second group.
    M : int
        Eigenvalues of the matrix that is drawn beside each law.
    points : int
        Points of each curve, at equal steps of the law's angle: dense at both edges.
    seed : int
        Of the matrices.

    Returns
    -------
    list of MPCurve

    Raises
    ------
    ValueError
        A parameter is outside its range.
    """
    of_q: list[tuple[Literal["Q", "sigma"], float, float]] = [("Q", Q, 1.0) for Q in Qs]
    of_sigma: list[tuple[Literal["Q", "sigma"], float, float]] = [("sigma", fixed_Q, sigma) for sigma in sigmas]
    curves = []
    for k, (varies, Q, sigma) in enumerate(of_q + of_sigma):
        low, high = marchenko_pastur.edges(Q, sigma)
        t = np.linspace(0.0, math.pi, points)[1 if low == 0.0 else 0 :]
        x = np.clip(low + (high - low) * np.sin(0.5 * t) ** 2, low, high)
        N = round(Q * M)
        curves.append(
            MPCurve(
                varies=varies,
                Q=Q,
                sigma=sigma,
                x=x,
                density=marchenko_pastur.density(x, Q, sigma),
                cdf=marchenko_pastur.cdf(x, Q, sigma),
                N=N,
                M=M,
                evals=marchenko_pastur.sample(np.random.default_rng([seed, k]), N, M, sigma),
            )
        )
    return curves


def heavy_tailed_spectra(
    mus: Sequence[float] = MUS,
    *,
    N: int = 3000,
    M: int = 1000,
    entries: Entries = "lomax",
    ks: KSMode = "seed2018",
    seed: int = 0,
) -> list[HeavyTailedSpectrum]:
    """Draw one matrix for each mu and fit its spectrum; seed 001, "Fitting Heavy-tailed Distributions".

    Parameters
    ----------
    mus : sequence of float
        Tail exponents of the entries. Matrices with mu below 2 are divided by 100, as
        in the published figure.
    N, M : int
        Shape of W, ``N >= M >= 2``; published 9000 x 3000.
    entries : {"lomax", "sym", "pareto"}
        As in `draw_entries`.
    ks : {"grid", "two_sided", "seed2018"}
        Form of the KS distance; the published fits are ``seed2018``.
    seed : int
        Of the matrices: one stream each.

    Returns
    -------
    list of HeavyTailedSpectrum
    """
    _check_shape(N, M)
    found = []
    for k, mu in enumerate(mus):
        scale = 0.01 if mu < 2.0 else 1.0
        evals = scale * scale * _evals(np.random.default_rng([seed, k]), entries, mu, N, M)
        fit = fit_power_law(evals, ks=ks, min_tail=FEWEST_IN_TAIL)
        found.append(HeavyTailedSpectrum(mu, entries, scale, N, M, evals, fit))
    return found


def alpha_of_mu(
    mus: Sequence[float],
    *,
    entries: Entries = "lomax",
    M: int = 300,
    Q: float = 2.0,
    draws: int = 1,
    ks: KSMode = "seed2018",
    seed: int = 0,
) -> list[AlphaOfMu]:
    """Fit alpha to heavy-tailed matrices; seed 001, "Dependence of alpha on mu".

    The published saturation of alpha near 4.4 belongs to ``lomax`` entries at M = 1000:
    their mean is not 0, so one eigenvalue lies far out and the fit reaches up to it. With
    random signs alpha goes on growing.

    Parameters
    ----------
    mus : sequence of float
        Tail exponents of the entries.
    entries : {"lomax", "sym", "pareto"}
        As in `draw_entries`.
    M : int
        Columns of W; published 1000.
    Q : float
        Aspect ratio; W has ``round(Q M)`` rows.
    draws : int
        Matrices for each mu.
    ks : {"grid", "two_sided", "seed2018"}
        Form of the KS distance; the published fits are ``seed2018``.
    seed : int
        Of the matrices: one stream for each mu and draw.

    Returns
    -------
    list of AlphaOfMu
        ``len(mus) * draws``, by mu.
    """
    N = round(Q * M)
    _check_shape(N, M)
    found = []
    for k, mu in enumerate(mus):
        for draw in range(draws):
            evals = _evals(np.random.default_rng([seed, k, draw]), entries, mu, N, M)
            fit = fit_power_law(evals, ks=ks, min_tail=FEWEST_IN_TAIL)
            found.append(AlphaOfMu(mu, draw, entries, N, M, fit.alpha, fit.alpha_stderr, fit.xmin, fit.D, fit.n_tail))
    return found


def mp_rows(curves: Sequence[MPCurve]) -> list[dict[str, Any]]:
    """Give the laws (``law``) and the drawn eigenvalues (``sample``) as flat rows for a CSV file.

    The ``cdf`` of a drawn eigenvalue is its place in the sample, ``(i - 1/2) / M``; it has no density.
    """
    rows: list[dict[str, Any]] = []
    for curve in curves:
        head = {"varies": curve.varies, "Q": curve.Q, "sigma": curve.sigma}
        for x, density, cdf in zip(curve.x.tolist(), curve.density.tolist(), curve.cdf.tolist()):
            rows.append({"kind": "law", **head, "x": x, "density": density, "cdf": cdf})
        for i, x in enumerate(curve.evals[::-1].tolist()):
            rows.append({"kind": "sample", **head, "x": x, "density": None, "cdf": (i + 0.5) / curve.M})
    return rows


def heavy_tailed_rows(spectra: Sequence[HeavyTailedSpectrum]) -> list[dict[str, Any]]:
    """Give every eigenvalue with its matrix and fit as flat rows for a CSV file."""
    rows: list[dict[str, Any]] = []
    for s in spectra:
        head = {"mu": s.mu, "entries": s.entries, "scale": s.scale, "N": s.N, "M": s.M}
        tail = {"alpha": s.fit.alpha, "xmin": s.fit.xmin, "D": s.fit.D, "n_tail": s.fit.n_tail}
        rows += [{**head, "eval": x, **tail} for x in s.evals.tolist()]
    return rows


def alpha_rows(points: Sequence[AlphaOfMu]) -> list[dict[str, Any]]:
    """Give the fits as flat rows for a CSV file, with alpha for large matrices beside them."""
    return [{**asdict(point), "alpha_limit": entry_laws.alpha_from_mu(point.mu)} for point in points]


def _check_shape(N: int, M: int) -> None:
    """Refuse matrices without a spectrum to fit."""
    if not 2 <= M <= N:
        raise ValueError(f"The matrix would be {N} x {M}; it needs N >= M >= 2.")


def _evals(rng: np.random.Generator, entries: Entries, mu: float, N: int, M: int) -> Array:
    """Draw one matrix and give the positive eigenvalues of its X, on one BLAS thread: the same bits on any machine."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        return spectrum(draw_entries(rng, entries, mu, (N, M))).positive_evals
