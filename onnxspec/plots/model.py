"""Figures of a whole model: alpha by depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from onnxspec.palette import NO_PHASE, PHASES
from onnxspec.plots.canvas import figure_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from onnxspec.results import Layer, Report

__all__ = ["MARKERS", "alpha_by_depth"]

MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle_up": "^",
    "diamond": "D",
    "triangle_down": "v",
    "cross": "X",
    "plus": "P",
    "star": "*",
    "dot": ".",
}
MOST_NAMES = 60
ALPHA_TOP = 12.0


def alpha_by_depth(report: Report) -> Figure:
    """Draw alpha of every fitted layer in graph order, with its interval, coloured by phase.

    Parameters
    ----------
    report : Report
        From an analysis or a file. Layers that the means leave out are hollow; an alpha
        above 12 stands at the upper edge with its value.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        No layer has an alpha.
    """
    layers = [(place, layer) for place, layer in enumerate(report.layers) if (layer.alpha or 0.0) > 1.0]
    if not layers:
        raise ValueError("no layer of the report has an alpha to draw.")
    figure = figure_of(max(6.4, min(2.0 + 0.24 * len(layers), 24.0)), 5.2)
    axes = figure.subplots()
    ends = [_top_of(layer) for _, layer in layers]
    top = min(1.08 * max(4.0, *ends), ALPHA_TOP)
    for phase in (*PHASES, None):
        _group(axes, [(x, one) for x, (_, one) in enumerate(layers) if _phase(one) == phase], phase, top)
    for level in (2.0, 6.0):
        if level < top:
            axes.axhline(level, color="#999999", lw=0.8, ls=":", zorder=0)
    axes.set_ylim(1.0, top)
    axes.set_xlim(-0.8, len(layers) - 0.2)
    axes.set_ylabel("alpha, with its 95 % interval")
    _names(axes, [layer for _, layer in layers])
    figure.suptitle(f"{plain(PurePath(report.model.path).name)}: alpha by depth", fontsize="medium")
    figure.legend(loc="outside lower center", ncols=5, fontsize="x-small", frameon=False)
    return figure


def _phase(layer: Layer) -> str | None:
    return layer.phase if layer.phase in PHASES else None


def _top_of(layer: Layer) -> float:
    """Give what the axis should reach for one layer."""
    alpha = layer.alpha or 1.0
    return max(alpha, min(layer.alpha_ci[1], 2.0 * alpha)) if layer.alpha_ci else alpha


def _group(axes: Axes, found: Sequence[tuple[int, Layer]], phase: str | None, top: float) -> None:
    """Draw the layers of one phase: the averaged ones filled, the others hollow, those off the axis at its end."""
    sign = PHASES[phase] if phase is not None else NO_PHASE
    colour, marker = sign.light, MARKERS[sign.marker]
    for averaged in (True, False):
        some = [(x, layer) for x, layer in found if layer.averaged is averaged]
        if not some:
            continue
        label = (phase or "no phase") + ("" if averaged else ", not averaged")
        fill = colour if averaged else "white"
        at = [min(layer.alpha or 1.0, 0.985 * top) for _, layer in some]
        axes.plot([x for x, _ in some], at, marker, ms=6, color=colour, mfc=fill, label=label, ls="", zorder=3)
    for x, layer in found:
        alpha = layer.alpha or 1.0
        if layer.alpha_ci is not None:
            low, high = layer.alpha_ci
            axes.vlines(x, max(min(low, alpha), 1.0), min(max(high, alpha), top), color=colour, lw=1.2, alpha=0.7)
        if alpha > top:
            axes.annotate(
                f"{alpha:.1f}", (x, 0.985 * top), (0, -7), textcoords="offset points", ha="center", va="top", fontsize=7
            )


def _names(axes: Axes, layers: Sequence[Layer]) -> None:
    """Name the layers below the axis, as long as they can be read."""
    if len(layers) > MOST_NAMES:
        axes.set_xlabel("fitted layer, in graph order")
        return
    axes.set_xticks(range(len(layers)), [plain(layer.name, 36) for layer in layers], rotation=90, fontsize=7)
