"""The figure of ``onnxspec theory vsdl``: phases of learning over load and temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxspec.laws.vsdl import effective_load
from onnxspec.plots.canvas import PALETTE, figure_of, legend, short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from onnxspec.laws.vsdl import LearningCurve
    from onnxspec.theory import VSDL

__all__ = ["vsdl"]

NAMES = {"ising": "Ising perceptron", "spherical": "spherical perceptron", "reversed_wedge": "reversed wedge"}
NOISE_OF_PATH = 0.2
SHARES_OF_TEMPERATURE = (0.1, 0.35)
FEWEST_LOADS = 4


def vsdl(found: VSDL) -> Figure:
    """Draw the very simple deep learning model: seed 001's figures (e), (f) and (g).

    Parameters
    ----------
    found : VSDL
        From `onnxspec.theory.vsdl_phases`.

    Returns
    -------
    matplotlib.figure.Figure
        Maps of both errors with the line of the transition and the end of the
        metastable state; errors over the load, beside the spherical perceptron's; errors
        over the temperature; a path on which label noise and early stopping move a network.
    """
    figure = figure_of(12.6, 7.4)
    axes = figure.subplots(2, 3)
    _map(axes[0, 0], found, "generalisation error", lambda curve: curve.generalisation_error)
    _map(axes[0, 1], found, "training error", lambda curve: curve.training_error)
    _path(axes[0, 2], found)
    _over_load(axes[1, 0], found.curves, f"{NAMES[found.student]}, over the load")
    _over_load(axes[1, 1], found.contrast, f"contrast: {NAMES['spherical']}")
    _over_temperature(axes[1, 2], found)
    return figure


def _map(axes: Axes, found: VSDL, title: str, values: Callable[[LearningCurve], np.ndarray]) -> None:
    """Draw one error over load and temperature, with the transitions."""
    loads = found.map[0].loads
    temperatures = np.array([curve.temperature for curve in found.map])
    grid = np.array([values(curve) for curve in found.map])
    mesh = axes.pcolormesh(loads, temperatures, grid, cmap="viridis", vmin=0.0, vmax=0.5, shading="nearest")
    axes.figure.colorbar(mesh, ax=axes)
    _lines(axes, found, PALETTE[1])
    axes.set_title(f"{NAMES[found.student]}: {title}", fontsize="medium")
    _axes(axes, found)


def _lines(axes: Axes, found: VSDL, colour: str) -> None:
    """Draw where the error jumps, and where the bad state ends."""
    at = [(t, one) for t, noise, one in found.transitions if noise == found.noise]
    if not at:
        return
    temperatures = [t for t, _ in at]
    axes.plot([one.load for _, one in at], temperatures, ".", ms=3, color=colour, label="transition")
    ends = [(one.spinodal, t) for t, one in at if one.spinodal is not None]
    if ends:
        axes.plot(*zip(*ends), "_", ms=3, color=colour, label="end of the metastable state")
    legend(axes, "upper left")


def _axes(axes: Axes, found: VSDL) -> None:
    """Label the axes of a phase diagram."""
    axes.set_xlim(0.0, float(found.map[0].loads[-1]))
    axes.set_ylim(0.0, found.map[-1].temperature)
    axes.set_xlabel("load: examples / parameters")
    axes.set_ylabel("temperature")


def _over_load(axes: Axes, curves: Sequence[LearningCurve], title: str) -> None:
    """Draw generalisation (full) and training error (dashed) over the load."""
    for k, curve in enumerate(curves):
        colour = PALETTE[k % len(PALETTE)]
        label = f"T = {short(curve.temperature)}"
        axes.plot(curve.loads, curve.generalisation_error, "-", color=colour, lw=1.4, label=label)
        axes.plot(curve.loads, curve.training_error, "--", color=colour, lw=0.9)
    noise = curves[0].noise
    axes.set_title(title + (f", noise {short(noise)}" if noise else ""), fontsize="medium")
    axes.set_xlabel("load: examples / parameters")
    axes.set_ylabel("error (dashed: training)")
    axes.set_ylim(0.0, 0.52)
    legend(axes)


def _over_temperature(axes: Axes, found: VSDL) -> None:
    """Draw both errors over the temperature, at a few loads."""
    loads = found.map[0].loads
    temperatures = [curve.temperature for curve in found.map]
    chosen = np.unique(np.linspace(0, loads.size - 1, FEWEST_LOADS + 2).astype(int)[1:-1])
    for k, index in enumerate(chosen.tolist()):
        colour = PALETTE[k % len(PALETTE)]
        generalisation = [float(curve.generalisation_error[index]) for curve in found.map]
        training = [float(curve.training_error[index]) for curve in found.map]
        axes.plot(temperatures, generalisation, "-", color=colour, lw=1.4, label=f"load {short(float(loads[index]))}")
        axes.plot(temperatures, training, "--", color=colour, lw=0.9)
    axes.set_title(f"{NAMES[found.student]}, over the temperature", fontsize="medium")
    axes.set_xlabel("temperature (early stopping raises it)")
    axes.set_ylabel("error (dashed: training)")
    axes.set_ylim(0.0, 0.52)
    legend(axes)


def _path(axes: Axes, found: VSDL) -> None:
    """Draw how knobs move a network: noise to a smaller effective load, stopping early to another temperature."""
    _lines(axes, found, PALETTE[0])
    _axes(axes, found)
    axes.set_title("knobs: noise in the labels, early stopping", fontsize="medium")
    low, high = (share * found.map[-1].temperature for share in SHARES_OF_TEMPERATURE)
    start = _beyond(found, high)
    after = None
    if start is not None:
        after = effective_load(start, high, NOISE_OF_PATH, student=found.student, width=found.width)
    if start is None or after is None:
        axes.text(0.5, 0.5, "no transition to cross", ha="center", transform=axes.transAxes)
        return
    steps = [(start, high, "A"), (after, high, "B"), (after, low, "C")]
    for (x, y, _), (to_x, to_y, _), colour in zip(steps, steps[1:], PALETTE[1:]):
        axes.annotate("", (to_x, to_y), (x, y), arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.6})
    for x, y, name in steps:
        axes.annotate(name, (x, y), textcoords="offset points", xytext=(4, 4))
    told = f"A to B: {short(100 * NOISE_OF_PATH)} % of the labels wrong\nB to C: training longer"
    axes.text(0.98, 0.03, told, ha="right", va="bottom", fontsize="small", transform=axes.transAxes)


def _beyond(found: VSDL, temperature: float) -> float | None:
    """Give a load a little beyond the transition at a temperature of the map."""
    near = [(abs(t - temperature), one.load) for t, noise, one in found.transitions if noise == found.noise]
    return 1.15 * min(near)[1] if near else None
