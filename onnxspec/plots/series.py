"""Scatter plots of a series: accuracy against metrics, with a line through each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.plots.canvas import PALETTE, figure_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from onnxspec.results.series import Member, Relation, Series

__all__ = ["series_scatter"]

MARKERS = "os^Dv<>P*Xph"
COLUMNS = 3
MOST_PANELS = 24
MOST_LABELS = 24


def series_scatter(series: Series, metrics: Sequence[str] | None = None) -> Figure:
    """Draw accuracy against each metric, one panel a metric, groups by colour and marker.

    Parameters
    ----------
    series : Series
        What `onnxspec.series` gives.
    metrics : sequence of str, optional
        Which, at most 24; by default all that have numbers.

    Returns
    -------
    matplotlib.figure.Figure
        Solid lines are the regressions within groups, the dashed one that of all models.

    Raises
    ------
    ValueError
        No metric has numbers to draw.
    """
    names = list(metrics) if metrics is not None else list(dict.fromkeys(r.metric for r in series.relations))
    names = [name for name in names if any(name in member.metrics for member in _usable(series))][:MOST_PANELS]
    if not names:
        raise ValueError("no metric of the series has a number to draw.")
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = figure_of(3.9 * columns + (1.5 if columns == 1 else 0.0), 3.3 * rows + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names):
        _panel(axes, series, name, labels=len(names) == 1)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(len(labels), 5), fontsize="x-small", frameon=False
        )
    return figure


def _usable(series: Series) -> list[Member]:
    return [member for member in series.members if member.problem is None and member.accuracy is not None]


def _panel(axes: Axes, series: Series, name: str, *, labels: bool) -> None:
    """Draw one metric."""
    members = [member for member in _usable(series) if name in member.metrics]
    groups: list[str | None] = [*series.groups]
    if any(member.group is None for member in members) or not groups:
        groups.append(None)
    for number, group in enumerate(groups):
        some = [member for member in members if member.group == group]
        colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
        x = [member.metrics[name] for member in some]
        label = plain(group if group is not None else "models", 30)
        axes.plot(x, [member.accuracy or 0.0 for member in some], marker, ms=5, color=colour, label=label, ls="")
        if len(series.groups) > 1 and group is not None:
            _line(axes, _relation(series, name, group), x, colour, "-")
    pooled = _relation(series, name, None)
    _line(axes, pooled, [member.metrics[name] for member in members], "#4D4D4D", "--")
    if labels and len(members) <= MOST_LABELS:
        for member in members:
            at = (member.metrics[name], member.accuracy or 0.0)
            axes.annotate(plain(member.label, 24), at, (3, 3), textcoords="offset points", fontsize=6)
    axes.set_xlabel(plain(name, 40), fontsize="small")
    axes.set_ylabel("accuracy", fontsize="small")
    axes.tick_params(labelsize="x-small")
    axes.set_title(_title(pooled), fontsize="x-small")


def _relation(series: Series, name: str, group: str | None) -> Relation | None:
    return next((r for r in series.relations if (r.metric, r.group) == (name, group)), None)


def _title(relation: Relation | None) -> str:
    """Say in one line what was found over all models."""
    if relation is None or relation.kendall_tau.value is None:
        return ""
    tau = relation.kendall_tau
    p = "" if tau.p_value is None else f", p = {tau.p_value:.2g}"
    small = "" if relation.conclusive else ", n too small"
    return f"tau = {tau.value:+.2f}{p}{small}, R2 = {relation.r2.value or 0.0:.2f}"


def _line(axes: Axes, relation: Relation | None, x: Sequence[float], colour: str, style: str) -> None:
    if relation is None or relation.slope.value is None or relation.intercept is None or not x:
        return
    ends = np.array([min(x), max(x)])
    axes.plot(ends, relation.intercept + relation.slope.value * ends, style, lw=1.0, color=colour, zorder=1)
