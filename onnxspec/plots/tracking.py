"""Figures of layers over checkpoints: their numbers and phases, and scree plots of the first and last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxspec.palette import PHASES
from onnxspec.plots.canvas import PALETTE, figure_of, log_axis, plain
from onnxspec.plots.model import MARKERS as PHASE_MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from onnxspec.results.tracking import Course, Track

__all__ = ["track_curves", "track_scree"]

PANELS = ("entropy", "stable_rank", "mp_softrank", "alpha", "spikes", "log_norm")
MARKERS = "os^Dv<>P*Xph"
COLUMNS = 3
MOST_LAYERS = 12
MOST_TICKS = 9


def track_curves(track: Track, layers: Sequence[str] | None = None) -> Figure:
    """Draw entropy, stable rank, MP soft rank, alpha, spikes and norm over checkpoints, and the phases below.

    Parameters
    ----------
    track : Track
        What `onnxspec.track` gives.
    layers : sequence of str, optional
        Names or tensors; by default the twelve largest with numbers.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        No layer has numbers to draw.
    """
    courses = _chosen(track, layers)
    rows = -(-len(PANELS) // COLUMNS)
    strip = 0.7 + 0.28 * len(courses)
    figure = figure_of(11.0, 3.0 * rows + strip)
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[3.0] * rows + [strip])
    for number, name in enumerate(PANELS):
        _curve(figure.add_subplot(grid[divmod(number, COLUMNS)]), track, courses, name)
    _phases(figure.add_subplot(grid[rows, :]), track, courses)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 6), fontsize="x-small")
    return figure


def track_scree(track: Track, layers: Sequence[str] | None = None) -> Figure:
    """Draw the scree plots of the first and the last checkpoint, one panel a layer.

    Parameters
    ----------
    track : Track
        What `onnxspec.track` gives.
    layers : sequence of str, optional
        As in `track_curves`.

    Returns
    -------
    matplotlib.figure.Figure
        Eigenvalues over their sum against rank, as in the figure of arXiv 1810.01075.

    Raises
    ------
    ValueError
        No layer has eigenvalues to draw.
    """
    courses = [course for course in _chosen(track, layers) if course.scree_first]
    if not courses:
        raise ValueError("no layer of the track has eigenvalues to draw.")
    columns = min(COLUMNS, len(courses))
    rows = -(-len(courses) // columns)
    figure = figure_of(3.7 * columns + 0.6, 3.1 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, course in zip(panels, courses):
        for shares, label, colour in (
            (course.scree_first, "first", PALETTE[0]),
            (course.scree_last, "last", PALETTE[1]),
        ):
            axes.plot(range(1, len(shares) + 1), shares, lw=1.2, color=colour, label=label)
        both = (*course.scree_first, *course.scree_last)
        log_axis(axes.yaxis, 0.8 * min(both), 1.3 * max(both))
        axes.set_title(plain(course.name, 40), fontsize="small")
        axes.set_xlabel("rank of the eigenvalue", fontsize="small")
        axes.set_ylabel("share of the trace", fontsize="small")
        axes.tick_params(labelsize="x-small")
        axes.legend(fontsize="x-small")
    for axes in panels[len(courses) :]:
        axes.set_axis_off()
    return figure


def _chosen(track: Track, layers: Sequence[str] | None) -> list[Course]:
    """Give the layers to draw, the largest first in choice and in graph order in the figure."""
    if layers is not None:
        courses = [track.course(name) for name in layers]
    else:
        sized = sorted(track.layers, key=lambda course: -math.prod(course.shape))
        kept = [course for course in sized if any(v is not None for v in course.values["entropy"])][:MOST_LAYERS]
        courses = [course for course in track.layers if course in kept]
    if not courses:
        raise ValueError("no layer of the track has numbers to draw.")
    return courses


def _curve(axes: Axes, track: Track, courses: Sequence[Course], name: str) -> None:
    """Draw one number of every layer."""
    for number, course in enumerate(courses):
        colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
        there = [(k, v) for k, v in enumerate(course.values[name]) if v is not None]
        x, y = [k for k, _ in there], [v for _, v in there]
        axes.plot(x, y, lw=1.2, ms=3, label=plain(course.name, 30), color=colour, marker=marker)
    axes.set_title(name, fontsize="small")
    axes.set_xlim(-0.5, len(track.checkpoints) - 0.5)
    _ticks(axes, track)


def _phases(axes: Axes, track: Track, courses: Sequence[Course]) -> None:
    """Draw the phase of every layer in every checkpoint, by colour and marker."""
    for phase, sign in PHASES.items():
        at = [(k, row) for row, c in enumerate(courses) for k, seen in enumerate(c.phases) if seen == phase]
        if at:
            x, y = zip(*at)
            axes.plot(x, y, PHASE_MARKERS[sign.marker], ms=6, color=sign.light, label=phase, ls="")
    axes.set_yticks(range(len(courses)), [plain(course.name, 30) for course in courses], fontsize="x-small")
    axes.set_ylim(len(courses) - 0.5, -0.5)
    axes.set_xlim(-0.5, len(track.checkpoints) - 0.5)
    _ticks(axes, track)
    axes.set_title("phase", fontsize="small")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="x-small", frameon=False)


def _ticks(axes: Axes, track: Track) -> None:
    """Name some of the checkpoints below the axis."""
    count = len(track.checkpoints)
    step = max(1, -(-count // MOST_TICKS))
    at = range(0, count, step)
    turned = any(len(track.checkpoints[k].label) > 5 for k in at)
    axes.set_xticks(list(at), [plain(track.checkpoints[k].label, 16) for k in at], rotation=60 if turned else 0)
    axes.tick_params(labelsize="x-small")
