"""The Hill plot of a layer: alpha over the number of largest eigenvalues that it is taken from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.fits.hill import hill_curve
from onnxspec.plots.canvas import PALETTE, figure_of, legend, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from onnxspec.results import Layer

__all__ = ["hill"]

FEWEST = 5
"""Eigenvalues below which Hill's alpha is hardly a number."""


def hill(layer: Layer) -> Figure:
    """Draw Hill's alpha over k, with its band of one standard error and the fitted alpha.

    A power law shows as a level stretch; where there is none, there is no single exponent
    (Hill, Annals of Statistics 3, 1975; Thamm, Staats and Rosenow, arXiv 2203.14661).

    Parameters
    ----------
    layer : Layer
        With ``evals`` the curve runs over all eigenvalues, otherwise over the 32 largest.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        The layer has fewer than five eigenvalues to draw.
    """
    evals = np.asarray(layer.evals if layer.evals is not None else layer.plot.top_evals if layer.plot else ())
    evals = evals[evals > 0.0]
    if evals.size < FEWEST:
        raise ValueError(f"{layer.name!r} has {evals.size} eigenvalues; a Hill plot needs {FEWEST}.")
    k, alpha = hill_curve(evals, points=512)
    figure = figure_of(5.0, 3.6)
    axes = figure.subplots()
    error = (alpha - 1.0) / np.sqrt(k)
    seen = k >= FEWEST if bool(np.any(k >= FEWEST)) else k > 0
    axes.fill_between(k[seen], (alpha - error)[seen], (alpha + error)[seen], color=PALETTE[0], alpha=0.2, linewidth=0)
    axes.plot(k[seen], alpha[seen], color=PALETTE[0], label="Hill, one standard error")
    if layer.alpha is not None and layer.n_tail is not None:
        axes.axhline(layer.alpha, color=PALETTE[1], linestyle="--", label=f"fitted alpha {layer.alpha:.2f}")
        if layer.n_tail <= k[-1]:
            axes.axvline(layer.n_tail, color=PALETTE[6], linestyle=":", label=f"its tail of {layer.n_tail}")
    axes.set_xscale("log")
    axes.set_xlabel("k, the number of largest eigenvalues")
    axes.set_ylabel("alpha of the k largest")
    axes.set_ylim(1.0, max(2.0, math.ceil(float(np.quantile(alpha[seen], 0.95)) + 1.0)))
    axes.set_title(plain(layer.name))
    whole = "" if layer.evals is not None else f"the {evals.size} largest of {layer.num_evals}"
    legend(axes, notes=[whole] if whole else ())
    return figure
