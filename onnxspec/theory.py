"""The data of the seeds' theory figures: Marchenko-Pastur laws, heavy-tailed spectra, alpha against mu, VSDL.

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
from onnxspec.laws import marchenko_pastur, vsdl
from onnxspec.results import PowerLawFit
from onnxspec.settings import KSMode
from onnxspec.spectra.eigen import spectrum

__all__ = [
    "ENTRIES",
    "MUS",
    "QS",
    "SIGMAS",
    "TEMPERATURES",
    "VSDL",
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
    "vsdl_phases",
    "vsdl_rows",
]

Array = NDArray[np.float64]
Entries = Literal["lomax", "sym", "pareto"]
ENTRIES: tuple[Entries, ...] = get_args(Entries)

QS, SIGMAS, MUS = (1.0, 2.0, 3.0, 5.0), (0.7, 1.0, 1.3), (1.0, 3.0, 5.0)
TEMPERATURES = (0.0, 0.2, 0.5, 1.0)
NOISES = (0.0, 0.05, 0.1, 0.2)
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


@dataclass(frozen=True, eq=False)
class VSDL:
    """Learning curves, phases and transitions of one kind of student.

    Attributes
    ----------
    student : {"ising", "spherical", "reversed_wedge"}
    width : float
        k of the reversed wedge.
    noise : float
        Label noise of curves and map.
    curves : list of LearningCurve
        One for each temperature asked for.
    contrast : list of LearningCurve
        The spherical perceptron at the same temperatures, which learns without a jump.
    map : list of LearningCurve
        Many temperatures at the same loads: the phase diagram.
    transitions : list of (float, float, Transition)
        Temperature, label noise, and the load at which the error jumps: for each
        temperature of the map at `noise`, and for those of the curves at each of `NOISES`.
    """

    student: vsdl.Student
    width: float
    noise: float
    curves: list[vsdl.LearningCurve]
    contrast: list[vsdl.LearningCurve]
    map: list[vsdl.LearningCurve]
    transitions: list[tuple[float, float, vsdl.Transition]]


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


def vsdl_phases(
    temperatures: Sequence[float] = TEMPERATURES,
    *,
    student: vsdl.Student = "ising",
    noise: float = 0.0,
    width: float = 1.0,
    highest_load: float = 6.0,
    highest_temperature: float = 2.0,
    points: int = 121,
) -> VSDL:
    """Give what seed 001 draws of the very simple deep learning model (VSDL).

    Martin and Mahoney, arXiv 1710.09553; `onnxspec.laws.vsdl` has the formulas.

    Parameters
    ----------
    temperatures : sequence of float
        Of the learning curves.
    student : {"ising", "spherical", "reversed_wedge"}
        What learns.
    noise : float
        Share of wrong labels, below 0.5.
    width : float
        k of the reversed wedge.
    highest_load, highest_temperature : float
        Ends of the map, which starts at 0.
    points : int
        Loads, and half as many temperatures.

    Returns
    -------
    VSDL

    Raises
    ------
    ValueError
        A parameter is outside its range.
    """
    if not (0.0 < highest_load < math.inf and 0.0 < highest_temperature < math.inf and points >= 2):
        raise ValueError("The map needs a highest load and temperature above 0, and two points.")
    loads = np.linspace(0.0, highest_load, points)
    scale = np.linspace(0.0, highest_temperature, (points + 1) // 2).tolist()
    learner: dict[str, Any] = {"student": student, "width": width}
    with_noise = [(t, n) for t in temperatures for n in sorted({*NOISES, noise})]
    pairs = dict.fromkeys([(t, noise) for t in scale] + with_noise)
    return VSDL(
        student=student,
        width=width,
        noise=noise,
        curves=[vsdl.learning_curve(loads, t, noise=noise, **learner) for t in temperatures],
        contrast=[vsdl.learning_curve(loads, t, noise=noise, student="spherical") for t in temperatures],
        map=[vsdl.learning_curve(loads, t, noise=noise, **learner) for t in scale],
        transitions=[(t, n, one) for t, n in sorted(pairs) for one in vsdl.transitions(t, noise=n, **learner)],
    )


def vsdl_rows(found: VSDL) -> list[dict[str, Any]]:
    """Give map (``map``), curves (``curve``, ``contrast``) and jumps (``transition``) as flat rows for a CSV file.

    A transition has the error before it as ``generalisation_error``, the one after it as
    ``error_after``, and the end of its metastable state as ``spinodal``.
    """
    rows: list[dict[str, Any]] = []
    for kind, curves in (("map", found.map), ("curve", found.curves), ("contrast", found.contrast)):
        for curve in curves:
            head = {"kind": kind, "student": curve.student, "temperature": curve.temperature, "noise": curve.noise}
            columns = (curve.loads, curve.generalisation_error, curve.training_error, curve.worst_error)
            for load, error, training, worst in zip(*(column.tolist() for column in columns)):
                errors = {"generalisation_error": error, "training_error": training, "worst_error": worst}
                rows.append({**head, "load": load, **errors, "error_after": None, "spinodal": None})
    for temperature, noise, one in found.transitions:
        head = {"kind": "transition", "student": found.student, "temperature": temperature, "noise": noise}
        errors = {"generalisation_error": one.error_before, "training_error": None, "worst_error": None}
        after = {"error_after": one.error_after, "spinodal": one.spinodal}
        rows.append({**head, "load": one.load, **errors, **after})
    return rows


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
