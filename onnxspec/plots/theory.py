"""The seeds' theory figures, from the data of `onnxspec.theory`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.laws.heavy_tailed import alpha_from_mu, alpha_from_mu_published
from onnxspec.plots.canvas import PALETTE, figure_of, legend, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from onnxspec.theory import AlphaOfMu, HeavyTailedSpectrum, MPCurve

__all__ = ["alpha_mu", "heavy_tailed", "mp"]

ENTRY_NAMES = {
    "lomax": "one-sided (Lomax)",
    "sym": "Lomax with random signs",
    "pareto": "Pareto with random signs",
}
ALPHA_TOP = 12.0


def mp(curves: Sequence[MPCurve]) -> Figure:
    """Draw Marchenko-Pastur laws over the eigenvalues of Gaussian matrices.

    Parameters
    ----------
    curves : sequence of MPCurve
        Where Q varies they go to the left panel, where sigma does to the right one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = figure_of(9.6, 3.9)
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "Q"), (right, "sigma")):
        group = [curve for curve in curves if curve.varies == name]
        for colour, curve in zip(_cycle(len(group)), group):
            _mp_curve(axes, curve, colour, f"{name} = {short(getattr(curve, name))}")
        tops = [float(curve.density[curve.x > 0.05 * curve.x[-1]].max()) for curve in group]
        axes.set_ylim(0.0, 1.15 * max(tops, default=1.0))
        axes.set_xlim(left=0.0)
        axes.set_xlabel("eigenvalue of X")
        if group:
            fixed = f"sigma = {short(group[0].sigma)}" if name == "Q" else f"Q = {short(group[0].Q)}"
            axes.set_title(f"Marchenko-Pastur, {fixed}", fontsize="medium")
        legend(axes)
    left.set_ylabel("density")
    return figure


def heavy_tailed(spectra: Sequence[HeavyTailedSpectrum], bins: int = 60) -> Figure:
    """Draw the log-log ESDs of heavy-tailed matrices with their fitted tails.

    Parameters
    ----------
    spectra : sequence of HeavyTailedSpectrum
        One curve each.
    bins : int
        Bins of each histogram, equal in log10.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = figure_of(6.4, 4.4)
    axes = figure.subplots()
    lowest = []
    for colour, one in zip(_cycle(len(spectra)), spectra):
        logs = np.log10(one.evals)
        counts, edges = np.histogram(logs, bins=bins)
        density = np.where(counts > 0, counts, np.nan) / (one.evals.size * np.diff(10.0**edges))
        middle = 10.0 ** (0.5 * (edges[1:] + edges[:-1]))
        divided = "" if one.scale == 1.0 else f", W / {short(1.0 / one.scale)}"
        axes.plot(middle, density, "o", ms=3, color=colour, label=f"mu = {short(one.mu)}{divided}")
        lowest.append(float(np.nanmin(density)))
        fit = one.fit
        if fit.alpha is None or fit.xmin is None or fit.xmax is None or fit.n_tail is None:
            continue
        x = np.geomspace(fit.xmin, fit.xmax, 50)
        share = fit.n_tail / one.evals.size
        law = share * (fit.alpha - 1.0) / fit.xmin * (x / fit.xmin) ** -fit.alpha
        axes.plot(x, law, "-", lw=1.2, color=colour, label=f"  alpha = {fit.alpha:.2f}, n_tail = {fit.n_tail}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("eigenvalue of X")
    axes.set_ylabel("density")
    if lowest:
        axes.set_ylim(bottom=0.2 * min(lowest))
    if spectra:
        first = spectra[0]
        axes.set_title(f"Heavy-tailed matrices, {ENTRY_NAMES[first.entries]}, {first.N} x {first.M}", fontsize="medium")
    legend(axes)
    return figure


def alpha_mu(points: Sequence[AlphaOfMu]) -> Figure:
    """Draw the fitted alpha against the tail exponent of the entries.

    Parameters
    ----------
    points : sequence of AlphaOfMu
        Fits, of one or several kinds of entries.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = figure_of(6.4, 4.4)
    axes = figure.subplots()
    kinds = sorted({(point.entries, point.N, point.M) for point in points})
    highest = 0.0
    for k, (colour, kind) in enumerate(zip(_cycle(len(kinds)), kinds)):
        group = [p for p in points if (p.entries, p.N, p.M) == kind and p.alpha is not None]
        mu = np.array([p.mu for p in group])
        alpha = np.array([p.alpha for p in group], dtype=np.float64)
        error = np.array([p.alpha_stderr for p in group], dtype=np.float64)
        shown = alpha <= ALPHA_TOP
        label = f"{ENTRY_NAMES[kind[0]]}, {kind[1]} x {kind[2]}"
        style: dict[str, Any] = {"fmt": "os^Dv"[k % 5], "ms": 4, "lw": 0.8, "color": colour, "label": label}
        axes.errorbar(mu[shown], alpha[shown], yerr=error[shown], **style)
        if not shown.all():
            above = int(np.count_nonzero(~shown))
            at = np.full(above, ALPHA_TOP)
            axes.plot(mu[~shown], at, "^", mfc="none", color=colour, label=f"  above {ALPHA_TOP:g} ({above})")
        highest = max(highest, float(alpha.max(initial=0.0)))
    _limits(axes, points)
    axes.set_xlabel("mu, tail exponent of the entries")
    axes.set_ylabel("fitted alpha (bars: alpha_stderr)")
    axes.set_ylim(1.0, min(1.08 * highest, ALPHA_TOP + 0.5) if highest > 1.0 else 6.0)
    axes.set_title("Dependence of alpha on mu", fontsize="medium")
    legend(axes, "upper left")
    return figure


def _limits(axes: Axes, points: Sequence[AlphaOfMu]) -> None:
    """Draw the exponent of infinite matrices, and the published lines where entries are one-sided."""
    mus = [point.mu for point in points]
    if not mus:
        return
    low, high = min(mus), max(mus)
    heavy = np.linspace(low, min(high, 3.999), 50) if low < 4.0 else np.empty(0)
    axes.plot(
        heavy, [alpha_from_mu(m) or 0.0 for m in heavy.tolist()], "k--", lw=1.0, label="large matrices: 1 + mu / 2"
    )
    if any(point.entries == "lomax" for point in points):
        for first, last, label in ((0.5, 1.999, "published lines, 2000 x 1000"), (2.0, 3.5, None)):
            x = np.array([max(low, first), min(high, last)])
            if x[0] < x[1]:
                y = [alpha_from_mu_published(m) for m in x.tolist()]
                axes.plot(x, y, ":", lw=1.4, color="#4D4D4D", label=label)


def _mp_curve(axes: Axes, curve: MPCurve, colour: str, label: str) -> None:
    """Draw one law, and its matrix as a histogram."""
    axes.hist(curve.evals, bins=40, density=True, histtype="stepfilled", color=colour, alpha=0.18)
    axes.plot(curve.x, curve.density, "-", color=colour, lw=1.5, label=label)


def _cycle(n: int) -> list[str]:
    return [PALETTE[k % len(PALETTE)] for k in range(n)]
