"""Figures of one layer: log-log and linear ESD, scree plot, D against xmin, and all four on one sheet."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.laws import marchenko_pastur
from onnxspec.plots.canvas import PALETTE, figure_of, legend, log_axis, plain, short
from onnxspec.plots.data import Shape, curve_of, shape_of
from onnxspec.results.drawable import Bulk, Minimum, Tail, bulk_of, law_of, linear_of, minima_of, tail_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import NDArray

    from onnxspec.results import Layer

__all__ = ["drawable", "esd", "esd_linear", "ks_curve", "layer_sheet", "scree"]

BLUE, RED, GREEN, PINK, ORANGE, _, GREY = PALETTE
MOST_LISTED = 4
MOST_DECADES = 6.0
FAR = 4.0  # the linear ESD reaches this many times beyond the bulk's edge


def drawable(layer: Layer) -> bool:
    """Say whether a layer has a spectrum to draw: it was analysed and is not zero."""
    return shape_of(layer) is not None


def esd(layer: Layer) -> Figure:
    """Draw the log-log ESD with the fitted tail, xmin and the competing minima of D.

    Parameters
    ----------
    layer : Layer
        From any report; with ``evals`` the bins are chosen from the eigenvalues,
        otherwise they are those of ``plot``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        The layer has no spectrum (`drawable`).
    """
    return _alone(layer, _esd)


def esd_linear(layer: Layer) -> Figure:
    """Draw the ESD on linear axes with the Marchenko-Pastur density and the spikes.

    The bulk fit of a convolution is that of its unfolded matrix, whose eigenvalues are drawn
    with it; a report without them (of an older version) shows the layer's own, and no law.

    Parameters
    ----------
    layer : Layer
        As in `esd`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        The layer has no spectrum.
    """
    return _alone(layer, _linear)


def scree(layer: Layer) -> Figure:
    """Draw the eigenvalues against their rank, both logarithmic, with the fitted tail.

    Without ``evals`` the 32 largest are exact and the others known at the edges of the bins.

    Parameters
    ----------
    layer : Layer
        As in `esd`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        The layer has no spectrum.
    """
    return _alone(layer, _scree)


def ks_curve(layer: Layer) -> Figure:
    """Draw the KS distance D, and alpha, against xmin.

    Parameters
    ----------
    layer : Layer
        As in `esd`; the curve is that of ``plot``, with the chosen minimum and its competitors.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        The layer has no spectrum.
    """
    return _alone(layer, _ks)


def layer_sheet(layer: Layer) -> Figure:
    """Draw all four figures of one layer on one sheet.

    Parameters
    ----------
    layer : Layer
        As in `esd`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        The layer has no spectrum.
    """
    shape = _spectrum(layer)
    figure = figure_of(11.0, 7.8)
    figure.suptitle(_title(layer), fontsize="medium")
    places = np.asarray(figure.subfigures(2, 2)).ravel()
    for place, draw in zip(places, (_esd, _linear, _scree, _ks)):
        draw(place, layer, shape)
    return figure


def _alone(layer: Layer, draw: Callable[[Figure | SubFigure, Layer, Shape], None]) -> Figure:
    """Draw one figure with the layer's title."""
    shape = _spectrum(layer)
    figure = figure_of(6.4, 4.4)
    figure.suptitle(_title(layer), fontsize="small")
    draw(figure, layer, shape)
    return figure


def _spectrum(layer: Layer) -> Shape:
    shape = shape_of(layer)
    if shape is None:
        raise ValueError(f"layer {layer.name!r} has no spectrum to draw: {layer.reason or 'no plot data'}.")
    return shape


def _title(layer: Layer) -> str:
    """Name the layer, its shape, and what was found."""
    several = f"{layer.num_matrices} matrices of " if layer.num_matrices and layer.num_matrices > 1 else ""
    size = f"{several}{layer.N} x {layer.M}" if layer.N and layer.M else ""
    verdict = layer.trained.get("verdict") if layer.trained else None
    parts = (plain(layer.role), size, layer.phase, verdict)
    told = " · ".join(plain(part) for part in parts if part)
    return f"{plain(layer.name, 70)}\n{told}"


def _esd(place: Figure | SubFigure, layer: Layer, shape: Shape) -> None:
    """Log-log histogram, the law of the tail, xmin, competing minima."""
    axes = place.subplots()
    density = shape.density()
    tail = tail_of(layer)
    left = _left(shape, tail)
    seen = density[(density > 0.0) & (shape.edges[1:] > left)]
    low, high = 0.3 * float(seen.min()), 4.0 * float(seen.max())
    values = np.where(density > 0.0, density, np.nan)
    axes.stairs(values, shape.edges, baseline=low, fill=True, color=BLUE, alpha=0.35)
    log_axis(axes.xaxis, left * 0.9, float(shape.edges[-1]) * 1.1)
    log_axis(axes.yaxis, low, high)
    below = float(shape.counts[shape.edges[1:] <= left].sum())
    notes = [f"{below:.0f} below this axis"] if below else []
    if tail is not None:
        x = np.geomspace(tail.xmin, max(float(shape.edges[-1]), tail.xmin * 1.01), 60)
        law = tail.n_tail / shape.total * (tail.alpha - 1.0) / tail.xmin * (x / tail.xmin) ** -tail.alpha
        axes.plot(x[law > 0.0], law[law > 0.0], color=RED, lw=1.6, label=_tail_label(tail))
        axes.axvline(tail.xmin, color=RED, lw=1.0, ls="--", label=f"xmin = {short(tail.xmin)}")
    else:
        notes.append(f"no fit: {plain(layer.reason or 'unknown')}")
    for group, label, too_short in _competitors(layer):
        for k, minimum in enumerate(group):
            style: dict[str, Any] = {"color": GREY, "lw": 0.9, "ls": ":", "alpha": 0.45 if too_short else 1.0}
            axes.axvline(minimum.xmin, label=label if k == 0 else None, **style)
    axes.set_xlabel("eigenvalue of X")
    axes.set_ylabel("density")
    axes.set_title("log-log ESD", fontsize="small")
    legend(axes, "upper right", notes)


def _left(shape: Shape, tail: Tail | None) -> float:
    """Give the start of the axis of eigenvalues: a few tiny ones would squeeze all others into a corner."""
    lowest = float(shape.edges[0])
    wanted = float(shape.edges[-1]) / 10.0**MOST_DECADES
    return float(max(lowest, min(wanted, 0.01 * tail.xmin if tail is not None else wanted)))


def _tail_label(tail: Tail) -> str:
    interval = "" if tail.interval is None else f" [{tail.interval[0]:.2f}, {tail.interval[1]:.2f}]"
    return f"alpha = {tail.alpha:.2f}{interval}, {tail.n_tail} in the tail"


def _competitors(layer: Layer) -> list[tuple[list[Minimum], str, bool]]:
    """Give the other minima of D in two groups, each with its label: tails long enough, and too short."""
    found = minima_of(layer)
    groups = []
    for too_short in (False, True):
        group = [minimum for minimum in found if minimum.below_min_tail is too_short]
        if group:
            alphas = ", ".join(f"{m.alpha:.2f}" for m in group[:MOST_LISTED]) + ("…" if group[MOST_LISTED:] else "")
            label = f"other {'minimum' if len(group) == 1 else 'minima'}: alpha = {alphas}"
            groups.append((group, label + (" (tail too short)" if too_short else ""), too_short))
    return groups


def _linear(place: Figure | SubFigure, layer: Layer, shape: Shape) -> None:
    """Linear histogram, the law of the bulk, and the spikes that stand beyond its edge."""
    axes = place.subplots()
    own, fitted = bulk_of(layer), linear_of(layer)
    if fitted is not None and (own is None or shape.evals is None):
        # the eigenvalues of the matrix of the bulk fit, which for a convolution are others than those of `shape`
        bulk, highest, top = law_of(layer), fitted.end, np.array(fitted.top)
        edges, density = np.array(fitted.edges), np.array(fitted.density())
        beyond = round(fitted.total - sum(fitted.counts))
    else:
        bulk, top = own, shape.top if shape.evals is None else shape.evals
        highest = min(1.05 * float(top[0]), FAR * bulk.edge) if bulk is not None else _most(shape)
        edges, density = shape.linear(highest)
        beyond = int(np.count_nonzero(top > highest))
    axes.stairs(density, edges, fill=True, color=BLUE, alpha=0.35)
    inside = edges[1:] > 0.03 * highest
    tops = [float(density[inside].max())] if inside.any() else [float(density.max())]
    if bulk is not None:
        tops.append(_bulk(axes, bulk, highest))
        _spikes(axes, bulk, top, highest)
    notes = [_no_bulk(layer)] if bulk is None else [] if own is not None else [_unfolded(layer)]
    if beyond:
        known = f"{beyond} or more" if fitted is None and shape.evals is None and beyond == top.size else f"{beyond}"
        notes.append(f"{known} beyond this axis, up to {short(float(top[0]))}")
    axes.set_xlim(0.0, highest)
    axes.set_ylim(0.0, 1.25 * max(tops) or 1.0)
    axes.set_xlabel("eigenvalue of X")
    axes.set_ylabel("density")
    axes.set_title("ESD and bulk", fontsize="small")
    legend(axes, "upper right", notes)


def _bulk(axes: Axes, bulk: Bulk, highest: float) -> float:
    """Draw the law and its edge; give the law's height."""
    low, high = marchenko_pastur.edges(bulk.Q, bulk.sigma)
    t = np.linspace(0.0, math.pi, 300)[1:]
    x = low + (high - low) * np.sin(0.5 * t) ** 2
    law = bulk.share * marchenko_pastur.density(x, bulk.Q, bulk.sigma)
    axes.plot(x, law, color=RED, lw=1.6, label=f"Marchenko-Pastur, sigma = {short(bulk.sigma)}")
    axes.axvline(bulk.edge, color=RED, lw=1.0, ls="--", label=f"edge of the bulk = {short(bulk.edge)}")
    clear = x > 0.03 * highest
    return float(law[clear].max()) if clear.any() else float(law.max())


def _spikes(axes: Axes, bulk: Bulk, top: NDArray[np.float64], highest: float) -> None:
    """Mark the spikes, the first of the largest eigenvalues, at the foot of the figure."""
    spikes = top[: bulk.spikes]
    shown = spikes[spikes <= highest]
    name = "spike" if bulk.spikes == 1 else "spikes"
    part = f", the largest {spikes.size} marked" if spikes.size < bulk.spikes else ""
    axes.plot(
        shown,
        np.full(shown.size, 0.03),
        "v",
        ms=5,
        color=PINK,
        mec="black",
        mew=0.4,
        transform=axes.get_xaxis_transform(),
        label=f"{bulk.spikes} {name}{part}",
    )


def _most(shape: Shape) -> float:
    """Give an end for the axis that leaves out the far tail: a little beyond 97 % of the eigenvalues."""
    reached = np.cumsum(shape.counts) >= 0.97 * shape.total
    return float(min(1.6 * shape.edges[1:][int(np.argmax(reached))], 1.05 * shape.edges[-1]))


def _unfolded(layer: Layer) -> str:
    """Say of which matrix the eigenvalues are."""
    mp = layer.mp or {}
    return f"of the kernel unfolded to {plain(str(mp.get('N')))} x {plain(str(mp.get('M')))}"


def _no_bulk(layer: Layer) -> str:
    """Say why no law is drawn."""
    if layer.mp is None:
        return f"no bulk fit: {plain(layer.reasons.get('mp', 'unknown'))}"
    if layer.num_matrices != 1:
        return "bulk fit: of the unfolded matrix, not these"
    return f"no bulk fit: {plain(str(layer.mp.get('reason')))}"


def _scree(place: Figure | SubFigure, layer: Layer, shape: Shape) -> None:
    """Eigenvalues by rank, the law of the tail, and the edge of the bulk."""
    axes = place.subplots()
    ranks, values = shape.ranked()
    axes.plot(ranks, values, "-", lw=0.8, color=BLUE)
    axes.plot(ranks[: shape.top.size], shape.top, "o", ms=3, color=BLUE, label=f"{shape.total:.0f} eigenvalues")
    log_axis(axes.xaxis, 0.8, 1.3 * float(ranks[-1]))
    tail = tail_of(layer)
    highest = float(shape.top[0])
    if tail is not None:
        k = np.geomspace(1.0, max(tail.n_tail, 2), 40)
        law = tail.xmin * (k / tail.n_tail) ** (-1.0 / (tail.alpha - 1.0))
        within = law < 30.0 * float(shape.top[0])
        highest = max(highest, float(law[within].max(initial=0.0)))
        axes.plot(k[within], law[within], color=RED, lw=1.4, label=f"power law, alpha = {tail.alpha:.2f}")
    bulk = bulk_of(layer)
    if bulk is not None:
        axes.axhline(bulk.edge, color=GREEN, lw=1.0, ls="--", label="edge of the bulk")
    log_axis(axes.yaxis, 0.8 * float(values[-1]), 1.5 * highest)
    axes.set_xlabel("rank")
    axes.set_ylabel("eigenvalue of X")
    axes.set_title("scree", fontsize="small")
    legend(axes, "lower left")


def _ks(place: Figure | SubFigure, layer: Layer, shape: Shape) -> None:
    """D over the candidates for xmin, and alpha below it."""
    curve = curve_of(layer)
    if curve is None:
        axes = place.subplots()
        axes.set_axis_off()
        axes.text(0.5, 0.5, f"no fit: {plain(layer.reason or 'unknown')}", ha="center", va="center")
        axes.set_title("KS distance against xmin", fontsize="small")
        return
    upper, lower = place.subplots(2, 1, sharex=True)
    tail = tail_of(layer)
    xmin, distance, alpha = curve
    upper.plot(xmin, distance, "-o", ms=2.5, lw=0.8, color=BLUE)
    lower.plot(xmin, alpha, "-o", ms=2.5, lw=0.8, color=BLUE)
    lower.set_ylim(1.0, _alpha_top(alpha, tail, minima_of(layer)))
    log_axis(lower.xaxis, 0.9 * max(float(xmin[0]), _left(shape, tail)), 1.1 * float(xmin[-1]))
    if tail is not None and tail.D is not None:
        upper.plot(tail.xmin, tail.D, "o", ms=6, color=RED, label=f"chosen: D = {short(tail.D)}")
        lower.plot(tail.xmin, tail.alpha, "o", ms=6, color=RED)
    for group, label, too_short in _competitors(layer):
        at = [m.xmin for m in group]
        style: dict[str, Any] = {
            "marker": "D",
            "ms": 5,
            "mfc": "white" if too_short else ORANGE,
            "mec": ORANGE,
            "ls": "",
        }
        upper.plot(at, [m.D for m in group], label=label, **style)
        lower.plot(at, [m.alpha for m in group], **style)
    upper.set_ylim(bottom=0.0)
    upper.set_ylabel("D")
    lower.set_ylabel("alpha")
    lower.set_xlabel("xmin")
    upper.set_title("KS distance against xmin", fontsize="small")
    legend(upper)


def _alpha_top(alpha: np.ndarray, tail: Tail | None, minima: list[Minimum]) -> float:
    """Give the end of alpha's axis: the last candidates, with a handful of values, would hide the rest."""
    chosen = tail.alpha if tail is not None else 2.0
    others = [1.1 * m.alpha for m in minima if not m.below_min_tail]
    return max(1.4 * chosen, min(1.1 * float(alpha.max()), 2.5 * chosen), 2.0, *others)
